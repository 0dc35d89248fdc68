"""The former name of `agents.runtime.endpoints.chat`. Deprecated."""

from core.deprecation import moved

__getattr__ = moved("agents.compatible.chat", "agents.runtime.endpoints.chat")
