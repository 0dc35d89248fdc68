"""Checks behind `/health/ready`."""

from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max, Min
from django.utils import timezone

from agents import message_files, pauses
from agents.api.serializers import PausedSerializer
from agents.models import Status, Task, WorkerProcess
from core.db.clock import seconds_from_now

BROKER_TIMEOUT = 2.0  # seconds
ALIVE = 60.0  # seconds since a worker's last heartbeat
SILENT = 30.0  # seconds without listening to the broker after which a worker counts as taking no jobs
DEAF = "The service accepts work, but {deaf} of {alive} live worker processes take no jobs from the broker."
_migrated = False  # never reset: a newer release runs in a new process


def missing_migrations() -> list[str]:
    """Return the names of unapplied migrations. Raises OperationalError when the database is unreachable."""
    global _migrated
    if _migrated:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return []
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    _migrated = not plan
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def surroundings() -> dict[str, Any]:
    """Return the state of the broker, workers, queue and pauses, which can delay work but not lose it."""
    beat = WorkerProcess.objects.aggregate(last=Max("beat_at"))["last"]
    oldest = Task.objects.filter(status=Status.PENDING).aggregate(first=Min("updated_at"))["first"]
    now = timezone.now()
    found = workers()
    deaf = found["workers_alive"] - found["workers_listening"]
    return {
        **({"message": DEAF.format(deaf=deaf, alive=found["workers_alive"])} if deaf else {}),
        "broker": "reachable" if _broker_answers() else "unreachable",
        "last_heartbeat": beat,
        "oldest_pending_seconds": (now - oldest).total_seconds() if oldest else None,
        "paused": [PausedSerializer.of(row) for row in pauses.active()],
        **found,
        "unreadable_messages": message_files.count(settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("unreadable_folder")),
    }


def workers() -> dict[str, int]:
    """Count the worker processes that are alive, and those of them that take jobs."""
    alive = WorkerProcess.objects.filter(beat_at__gt=seconds_from_now(-ALIVE))
    listening = alive.filter(listened_at__gt=seconds_from_now(-SILENT))
    return {"workers_alive": alive.count(), "workers_listening": listening.count()}


def _broker_answers() -> bool:
    try:
        with current_app.connection_for_write(connect_timeout=BROKER_TIMEOUT) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_TIMEOUT)
    except Exception:  # kombu does not wrap the transports' own exceptions
        return False
    return True
