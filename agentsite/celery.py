"""The Celery application. Its messages only wake a worker; the task rows are authoritative."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")

app = Celery("agentsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")  # of every installed app: so `agents.jobs` can be no former name
app.autodiscover_tasks(["agents.worker"], related_name="jobs")
