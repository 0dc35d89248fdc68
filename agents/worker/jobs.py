"""Celery's entry points. A job only wakes a worker up: the task's row says what there is to do."""

import logging
from typing import Any

from celery import shared_task
from celery.signals import (
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from django.conf import settings
from django.db import DataError, IntegrityError, close_old_connections, connection
from opentelemetry.trace import SpanKind
from structlog.contextvars import bound_contextvars

from agents import broker, pause_file, pauses
from agents.checkpoints import tables
from agents.models import Attempt, Status, Task
from agents.observability import metrics, tracing
from agents.runtime import registry
from agents.runtime.endpoints import metering
from agents.runtime.runner import Failed, Finished, Held, Outcome, Paused, advance
from agents.state import tasks
from agents.worker.heartbeat import heart
from core.db.connections import check_seldom, is_away, limit_waits
from memory.strategies import remembers

logger = logging.getLogger(__name__)

UNSTORABLE = "The agent's outcome contains something that can't be stored. Trying again may help. See the worker's log."


@shared_task(name=broker.RUN)
def run(task_pk: str) -> None:
    """Claim the task, run it and record the outcome. A second delivery of the same job finds nothing to claim."""
    if heart().draining:
        return  # still pending: another worker gets it from the sweeper
    with bound_contextvars(task=task_pk):
        pause_file.heed()
        attempt = tasks.claim(task_pk, heart().name)
        if attempt is not None:
            _carry_out(attempt)


@shared_task(name=broker.REMEMBER)
def remember(task_pk: str) -> None:
    """Run the agent's memory strategy on a completed task. A failure is logged and has no effect on the task."""
    with bound_contextvars(task=task_pk):
        task = Task.objects.select_related("session").filter(pk=task_pk, status=Status.COMPLETED).first()
        if task is None:
            return
        pause_file.heed()
        if pauses.over(task) is not None:
            logger.info("task %s: paused, nothing is remembered of it", task_pk)
            return
        try:
            with metering.remembering(task):
                registry.agent(task.agent).memory.remember(task)  # type: ignore[attr-defined]  # one without it has no job
        except Exception:
            logger.exception("task %s: its memory strategy failed, nothing is remembered of it", task_pk)
        finally:
            close_old_connections()


def _carry_out(attempt: Attempt) -> None:
    task = attempt.task
    about = {"agentsite.task": str(task.pk), "agentsite.attempt": str(attempt.token), "agentsite.agent": task.agent}
    with (
        bound_contextvars(request_id=task.request_id),
        tracing.span("task run", about, parent=task.traceparent, kind=SpanKind.CONSUMER) as span,
    ):
        try:
            with heart().keeping(attempt) as stop:
                outcome = advance(attempt, stop)
                record(attempt, outcome)
            span.set_attribute("agentsite.outcome", type(outcome).__name__.lower())
        except tasks.StaleAttempt:
            span.set_attribute("agentsite.outcome", "stale")
            logger.warning("task %s: attempt %s is over, nothing recorded", attempt.task_id, attempt.token)
        except Exception as error:
            if is_away(error):
                heart().drop(attempt)
            raise
        finally:
            close_old_connections()


def record(attempt: Attempt, outcome: Outcome) -> None:
    """Record the outcome as the task's new status. Raises StaleAttempt."""
    try:
        ended = _recorded(attempt, outcome)
    except (DataError, IntegrityError):
        # An outcome that cannot be stored would fail each time, and look like a task that kills its workers.
        logger.exception("task %s: its outcome can't be stored", attempt.task_id)
        tasks.fail(attempt, UNSTORABLE)
        ended = True
    if ended and not settings.CHECKPOINT_RETENTION_DAYS:
        tables.forget([attempt.task_id])


def _recorded(attempt: Attempt, outcome: Outcome) -> bool:
    """Record the outcome and return whether the task has ended."""
    match outcome:
        case Paused(asking, held_tool):
            tasks.interrupt(attempt, asking, held_tool)
            return False
        case Held(tool):
            tasks.release(attempt, tool)
            return False
        case Finished(result, message):
            tasks.finish(attempt, result, message)
            if remembers(registry.agent(attempt.task.agent).memory):
                broker.remember_later(attempt.task_id)
        case Failed(message):
            tasks.fail(attempt, message)
        case _:
            tasks.release(attempt)
            return False
    return True


@worker_init.connect
def _prepare(**kwargs: Any) -> None:
    # Before prefork forks, because otherwise each child would spend 3.5 s of CPU on it.
    for alias in settings.AGENTS:
        registry.graph(alias)
    check_seldom()
    if settings.DATABASE_ANSWER_SECONDS:
        limit_waits(max(settings.DATABASE_ANSWER_SECONDS, settings.TASK_LEASE_SECONDS))
    if _forks():
        # A child that replaces a dead one would inherit a pool's sockets and locks, but not its threads. Also,
        # Celery closes the pool after each job, while the heart uses it.
        connection.settings_dict["OPTIONS"].pop("pool", None)


@worker_ready.connect
def _start_heart_here(**kwargs: Any) -> None:
    if not _forks():  # else in each child: the parent has no runs, and none of its threads should hold a lock at a fork
        heart().start()


@worker_process_init.connect
def _start_heart_of_child(**kwargs: Any) -> None:
    heart().start()


def _forks() -> bool:
    return bool(settings.CELERY_WORKER_POOL == "prefork")


@worker_shutdown.connect
@worker_process_shutdown.connect
def _flush(**kwargs: Any) -> None:
    try:
        metrics.flush()
    except Exception as error:  # the database may be away, and this process does not flush again
        logger.warning("what was counted since the last heartbeat is lost: %s", error)


@worker_shutting_down.connect
def _drain(**kwargs: Any) -> None:
    logger.info("draining: runs stop at their next step and are handed over")
    heart().drain()
