"""The former name of `agents.policy`. Deprecated."""

from core.deprecation import moved

__getattr__ = moved("agents.terms", "agents.policy")
