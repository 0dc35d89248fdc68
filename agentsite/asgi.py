"""ASGI entry point, for deployments that serve Django with an ASGI server."""

import os

from django.core.asgi import get_asgi_application

from agentsite import tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")

application = get_asgi_application()

tracing.set_up()  # here, because a server loads this in each of the processes that it has forked
