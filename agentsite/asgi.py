"""ASGI entry point, for deployments that serve Django with an ASGI server."""

import os

import django

from agentsite import tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")
django.setup(set_prefix=False)

from agentsite.handlers import StrictASGIHandler  # noqa: E402 # it needs the settings

application = StrictASGIHandler()

tracing.set_up()  # here, because a server loads this in each of the processes that it has forked
