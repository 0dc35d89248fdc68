"""Celery's entry point. The job only wakes the couriers of this process: what is due stands in the rows."""

from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from agentsite.notices import couriers
from agentsite.notices.outbox import JOB


@shared_task(name=JOB)
def deliver() -> None:
    """Deliver what is due; a second delivery of the same job finds nothing."""
    couriers.deliver_notices()


@worker_shutting_down.connect
def _stop(**kwargs: Any) -> None:
    couriers.stop()
