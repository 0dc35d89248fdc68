"""Former name of `agentsite.server.gunicorn_worker`. Deprecated."""

from core.deprecation import moved

__getattr__ = moved("agentsite.web_worker", "agentsite.server.gunicorn_worker")
