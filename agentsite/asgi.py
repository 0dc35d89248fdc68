"""ASGI entry point, for deployments that serve Django with an ASGI server."""

import os

import django
from django.conf import settings

from agentsite.observability import tracing
from core.db.connections import limit_waits

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")
django.setup(set_prefix=False)

from agentsite.server.handlers import StrictASGIHandler  # noqa: E402 # it needs the settings

application = StrictASGIHandler()

limit_waits(settings.DATABASE_ANSWER_SECONDS)
tracing.set_up()  # here, because the server loads this module in each forked process
