"""The Django project: settings, URLs, the Celery application and code that concerns the whole system."""

from agentsite.celery import app as celery_app
from core import deprecation

deprecation.install()

__all__ = ["celery_app"]
