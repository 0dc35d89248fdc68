"""The former name of `agents.runtime.graphs.react`. Deprecated."""

from core.deprecation import moved

__getattr__ = moved("agents.graphs.react", "agents.runtime.graphs.react")
