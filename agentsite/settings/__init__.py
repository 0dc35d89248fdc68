"""Settings, read from the environment, one module per subject. docs/reference/settings.md lists the variables.

By default the service uses SQLite and files below `AGENTSITE_DATA`. `DATABASE_URL` and `REDIS_URL` switch it to
PostgreSQL and Redis; nothing else changes. No module here may require that Django is set up.
"""

from agentsite.settings.agents import *
from agentsite.settings.applications import *
from agentsite.settings.base import *
from agentsite.settings.broker import *
from agentsite.settings.database import *
from agentsite.settings.execution import *
from agentsite.settings.limits import *
from agentsite.settings.localization import *
from agentsite.settings.notifications import *
from agentsite.settings.observability import *
from agentsite.settings.openapi import *
from agentsite.settings.rest import *
from agentsite.settings.security import *

# For a settings module of one's own that begins with `from agentsite.settings import *`.
__all__ = ["env", *(name for name in globals() if name.isupper())]  # noqa: F405
