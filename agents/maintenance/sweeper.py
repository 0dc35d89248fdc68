"""Sweeper: recovers from the loss of messages, workers and wake-up calls. One worker at a time runs it."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import takewhile
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from agents import broker, pauses
from agents.checkpoints import tables
from agents.desk import desk
from agents.maintenance import budgets, duties, usage
from agents.models import ACTIVE, FINAL, Attempt, Chore, Chunk, Interrupt, Session, Status, Task, Watch, WorkerProcess
from agents.observability import metrics, totals
from agents.policy import DAY
from agents.state import holds, tasks
from agents.watching import publisher
from core.db import leases
from core.db.clock import Now, seconds_from_now
from core.db.connections import AWAY

logger = logging.getLogger(__name__)

Row = TypeVar("Row")

BATCH = 500  # rows of one kind in one sweep
SWEEP = "sweep"
GONE = 3600.0  # seconds after which a silent worker process is forgotten


def sweep_if_due() -> None:
    """Sweep, unless another worker has done so within the interval.

    If something was lost, the next interval is half as long.
    """
    Chore.objects.get_or_create(name=SWEEP)
    chore = Chore.objects.filter(name=SWEEP)
    if leases.take(chore, "due_at", settings.TASK_SWEEP_SECONDS):
        with broker.giving_up():
            done = _swept()
            lost = not broker.is_taking() or done["lapse_leases"] or done["republish_lost"]
        if lost:
            # The worker that takes over may die as well: when a machine goes down, many do.
            leases.renew(chore, "due_at", settings.TASK_SWEEP_SECONDS / 2)


def sweep() -> Counter[str]:
    """Do all duties now. Returns how many rows each duty mended."""
    with broker.giving_up():
        return _swept()


def _swept() -> Counter[str]:
    done: Counter[str] = Counter()
    for name, duty in duties.all_of(DUTIES, settings.SWEEPER_DUTIES):
        try:
            done[name] = duty()
            metrics.count(metrics.SWEEPER_ACTIONS, name, by=done[name])
        except AWAY:
            raise  # the database is away: the next sweep does it
        except Exception:
            metrics.count(metrics.SWEEPER_FAILURES, name)
            logger.exception("the sweeper's duty %s failed", name)
    if told := {name: count for name, count in done.items() if count}:
        logger.info("sweeper: %s", ", ".join(f"{name} {count}" for name, count in told.items()))
    return done


def each(rows: Iterable[Row], mend: Callable[[Row], Any]) -> int:
    """Mend each row separately, so that a bad one does not block the others. Returns how many were mended."""
    done = 0
    for row in rows:
        try:
            done += bool(mend(row))
        except AWAY:
            raise  # the database is away: the other rows would fail too
        except Exception:
            logger.exception("the sweeper could not mend %s", row)
    return done


def lapse_leases() -> int:
    """Expire attempts whose worker died or stalled: their tasks become pending again."""
    lapsed = leases.over(Attempt.objects.filter(ended_at=None), "lease_until").select_related("task")
    return each(lapsed[:BATCH], lambda attempt: tasks.lapse(attempt, tables.newest(attempt.task_id)))


def end_overlong() -> int:
    """Fail tasks that have exceeded their time without noticing it, because a tool or a model hangs."""
    limit = settings.TASK_WALL_SECONDS + settings.TASK_WALL_GRACE_SECONDS
    running = Attempt.objects.filter(ended_at=None, started_at__lt=seconds_from_now(-settings.TASK_WALL_GRACE_SECONDS))
    rows = running.annotate(now=Now()).select_related("task")[:BATCH]
    late = [row for row in rows if row.task.run_seconds + (row.now - row.started_at).total_seconds() > limit]
    return each(late, tasks.overrun)


def republish_lost() -> int:
    """Publish the missing jobs of pending tasks again, oldest first. Returns how many.

    As many jobs are missing as there are more pending tasks than waiting jobs: publishing more would fill a long queue
    with copies. Jobs that the broker is known not to have taken are always published. Skips tasks that a pause holds,
    because no worker would claim them.
    """
    # A job that was just published is on its way to a worker. One that a busy worker reserved is not waiting either.
    reserves = not settings.CELERY_WORKER_DISABLE_PREFETCH
    late = list(_published_before(settings.TASK_REPUBLISH_SECONDS if reserves else settings.TASK_SWEEP_SECONDS / 3))
    if not late or not broker.is_taking():
        return 0  # the usual case
    count, waiting = pauses.free(Task.objects.filter(status=Status.PENDING)).count(), broker.waiting()
    not_taken = sum(task.published_at == tasks.LONG_AGO for task in late)  # these come first
    missing = max(not_taken, 0 if waiting is None else count - waiting)
    return _republished(late[:missing])


def republish_oldest() -> int:
    """Publish the job of the task that has been pending for longest, even if no job seems to be missing.

    The waiting jobs may have nothing to do.
    """
    return _republished(_published_before(settings.TASK_REPUBLISH_SECONDS)[:1])


def _published_before(seconds: float) -> QuerySet[Task]:
    found = Task.objects.filter(status=Status.PENDING, published_at__lt=seconds_from_now(-seconds))
    return pauses.free(found).order_by("published_at")[:BATCH]


def _republished(found: Iterable[Task]) -> int:
    return each(takewhile(lambda _: broker.is_taking(), found), tasks.republish)


def wake_answered() -> int:
    """Wake interrupted tasks that have an unused answer."""
    # In two steps, because the database would begin with the tasks that wait, of which there are more.
    unused = list(Interrupt.objects.filter(answered_at__isnull=False, used_at=None).values_list("task", flat=True))
    done = 0
    for start in range(0, len(unused), BATCH):
        found = Task.objects.filter(pk__in=unused[start : start + BATCH], status=Status.INTERRUPTED)
        done += each(found, tasks.wake)
    return done


def wake_held() -> int:
    """Wake interrupted tasks that had also stopped before a paused call which is no longer paused."""
    return each(holds.wakeable()[:BATCH], tasks.wake)


def promote_queued() -> int:
    """Start queued tasks whose session is free."""
    active = Task.objects.filter(session=OuterRef("pk"), status__in=ACTIVE)
    waiting = Task.objects.filter(session=OuterRef("pk"), status=Status.QUEUED)
    sessions = Session.objects.filter(Exists(waiting), ~Exists(active)).values_list("pk", flat=True)
    return each(sessions[:BATCH], tasks.promote)


def expire_reviews() -> int:
    """Expire the open interrupts whose time is up, as their terms say."""
    return desk().expire_overdue()


def forget_checkpoints() -> int:
    """Delete the checkpoints of tasks that ended CHECKPOINT_RETENTION_DAYS ago, unless they are still to be read."""
    before = seconds_from_now(-settings.CHECKPOINT_RETENTION_DAYS * DAY)
    ended = Task.objects.filter(status__in=FINAL, has_thread=True, to_keep=False, updated_at__lt=before)
    found = list(ended.values_list("pk", flat=True)[:BATCH])
    if found:
        tables.forget(found)
    return len(found)


def keep_totals() -> int:
    """Count tasks and sessions for GET /system/info and the dashboard, where they are too many to count each time."""
    totals.keep()
    return 0


def clear_broker_folder() -> int:
    """Delete messages that the filesystem broker keeps after delivery, and rows of workers that are long gone."""
    WorkerProcess.objects.filter(beat_at__lt=seconds_from_now(-GONE)).delete()
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("processed_folder")
    return broker.clear(folder, older_than=timedelta(seconds=GONE)) if folder else 0


def clear_watching() -> int:
    """Delete the marks of sessions that nobody watches any more, and pieces that a killed worker left."""
    Watch.objects.filter(until__lt=Now()).delete()
    return Chunk.objects.filter(created_at__lt=seconds_from_now(-publisher.KEPT)).delete()[0]


DUTIES: tuple[Callable[[], int], ...] = (
    lapse_leases,
    end_overlong,
    expire_reviews,
    wake_answered,
    wake_held,
    budgets.wake_with_room,
    promote_queued,
    republish_lost,
    republish_oldest,
    forget_checkpoints,
    keep_totals,
    usage.give_up_calls,
    usage.sum_usage,
    clear_broker_folder,
    clear_watching,
)
