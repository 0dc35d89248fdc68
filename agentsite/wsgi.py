"""WSGI entry point: `gunicorn agentsite.wsgi`."""

import os

import django

from agentsite import tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")
django.setup(set_prefix=False)

from agentsite.handlers import StrictWSGIHandler  # noqa: E402 # it needs the settings

application = StrictWSGIHandler()

tracing.set_up()  # here, because a server loads this in each of the processes that it has forked
