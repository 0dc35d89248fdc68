"""Celery's entry point. The job only wakes the couriers of this process; the rows say what is due."""

from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from notifications import delivery_threads
from notifications.outbox import JOB


@shared_task(name=JOB)
def deliver() -> None:
    """Deliver what is due. If Celery delivers the same job twice, the second one finds nothing."""
    delivery_threads.deliver_notices()


@worker_shutting_down.connect
def _stop(**kwargs: Any) -> None:
    delivery_threads.stop()
