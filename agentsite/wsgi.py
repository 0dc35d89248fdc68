"""WSGI entry point: `gunicorn agentsite.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

from agentsite import tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")

application = get_wsgi_application()

tracing.set_up()  # here, because a server loads this in each of the processes that it has forked
