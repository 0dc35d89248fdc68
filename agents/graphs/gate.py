"""The former name of `agents.runtime.middleware.tool_gate`. Deprecated."""

from core.deprecation import moved

__getattr__ = moved("agents.graphs.gate", "agents.runtime.middleware.tool_gate")
