"""WSGI entry point: `gunicorn agentsite.wsgi`."""

import os

import django
from django.conf import settings

from agentsite.observability import tracing
from core.db.connections import limit_waits

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")
django.setup(set_prefix=False)

from agentsite.server.handlers import StrictWSGIHandler  # noqa: E402 # it needs the settings

application = StrictWSGIHandler()

limit_waits(settings.DATABASE_ANSWER_SECONDS)
tracing.set_up()  # here, because the server loads this module in each forked process
