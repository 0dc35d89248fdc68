"""The former name of `agents.tool_context`. Deprecated."""

from core.deprecation import moved

__getattr__ = moved("agents.context", "agents.tool_context")
