"""Settings, all from the environment; docs/settings.md lists the variables. One module a subject.

Without any of them the service runs on SQLite and files below `AGENTSITE_DATA`. `DATABASE_URL` and `REDIS_URL` move it
to PostgreSQL and Redis; nothing else changes. Nothing here may need Django to be set up.
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
