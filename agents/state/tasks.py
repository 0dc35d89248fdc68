"""The only code that writes the status of a task; `transitions.TASK` is the table.

Every transition is one conditional update. Locks are taken in one order: session, task, interrupts, attempt; the
session only where a task ends or begins, so that exactly one successor starts.
"""

import logging
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, F, Max, Model, QuerySet, Value

from agents import broker, pauses, signals
from agents.checkpoints import tables
from agents.models import ACTIVE, FINAL, Attempt, Interrupt, Session, Status, Task
from agents.observability import failpoints, metrics
from agents.state import interrupts, sessions
from agents.state.transitions import TASK, targets
from core.db import leases
from core.db.clock import Now, SecondsSince, seconds_from_now
from core.errors import Conflict, NotFound

logger = logging.getLogger(__name__)

Row = TypeVar("Row", bound=Model)

POISON = (
    "The task brought its worker down {count} times in a row at the same step and was given up. "
    "Trying again will probably do the same; the operator finds the cause in the worker's log."
)

NO_TASK = "There is no such task."
OVERRUN = "The task ran longer than {limit:g} s, its limit. Try again with a smaller question."
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # when a job was published that the broker did not take
REMOVED_AT_ONCE = 1_000  # tasks; a statement has room for so many parameters


class TransitionLost(Conflict):
    """Somebody else changed the task first."""


class StaleAttempt(Exception):
    """This attempt is over (lease taken over, task cancelled or deleted) and can write nothing more."""


def claim(task_pk: uuid.UUID | str, worker: str) -> Attempt | None:
    """pending -> running: a new attempt with lease and token, or None where there is none to claim, or it is paused."""
    failpoints.here("before-claim")
    with transaction.atomic():
        task = _locked(pk=task_pk, status=Status.PENDING).first()
        if task is None or pauses.over(task, task.held_tool) is not None:
            return None
        lease = seconds_from_now(settings.TASK_LEASE_SECONDS)
        attempt = Attempt.objects.create(task=task, token=task.token + 1, worker=worker, lease_until=lease)
        waited = attempt.started_at - task.updated_at
        _move(task, Status.RUNNING, token=attempt.token, has_thread=True, published_at=None, held_tool="")
    failpoints.here("after-claim")
    metrics.observe(metrics.QUEUE_SECONDS, waited.total_seconds())
    extra = {"request_id": task.request_id}  # only from here on the caller can know it
    logger.info("task %s: running, attempt %s on %s", task.pk, attempt.token, worker, extra=extra)
    return attempt


def pause(attempt: Attempt, asking: Iterable[Interrupt], held_tool: str = "") -> str:
    """running -> interrupted with a row for each open question; -> pending where one was answered meanwhile.

    `held_tool` is a call beside them that is paused: when it is resumed, the task does not wait for the answers.
    Returns the new status. Raises StaleAttempt.
    """
    failpoints.here("before-pause")
    with transaction.atomic():
        task = _held(attempt)
        stored = [interrupts.store(question) for question in asking]
        asked = [row for row, _ in stored]
        interrupts.use_all_but(task, asked)
        answered = any(row.answered_at for row in asked)
        status = Status.PENDING if answered else Status.INTERRUPTED
        _end(attempt, task, Attempt.Outcome.PAUSED, status, lapses=0, held_tool="" if answered else held_tool)
        if new := [row for row, made in stored if made and row.status == Interrupt.Status.PENDING]:
            signals.reviews_asked.send_robust(sender=Interrupt, reviews=new)
    failpoints.here("after-pause")
    logger.info("task %s: %s, %d open question(s)", task.pk, status, sum(not row.answered_at for row in asked))
    return status


def finish(attempt: Attempt, result: dict[str, Any], message: str = "") -> None:
    """running -> completed, with a message where the answer is not whole. Raises StaleAttempt."""
    _conclude(attempt, Status.COMPLETED, Attempt.Outcome.FINISHED, result=result, message=message)


def fail(attempt: Attempt, message: str) -> None:
    """running -> error with a message that a client developer understands. Raises StaleAttempt."""
    _conclude(attempt, Status.ERROR, Attempt.Outcome.FAILED, message=message)


def overrun(attempt: Attempt) -> bool:
    """running -> error: the attempt is past the task's wall-clock time. A call inside its tool still closes its row."""
    try:
        fail(attempt, OVERRUN.format(limit=settings.TASK_WALL_SECONDS))
    except StaleAttempt:
        return False
    return True


def release(attempt: Attempt, held_tool: str = "") -> None:
    """running -> pending: the worker drains and hands the task over, or a pause holds it. Raises StaleAttempt.

    `held_tool` is the call in front of which the pause stopped it: nobody claims the task while that is paused.
    """
    with transaction.atomic():
        task = _held(attempt)
        is_held = bool(held_tool) or pauses.over(task) is not None
        outcome = Attempt.Outcome.HELD if is_held else Attempt.Outcome.RELEASED
        _end(attempt, task, outcome, Status.PENDING, lapses=0, held_tool=held_tool)
    logger.info("task %s: pending, %s by %s", task.pk, "held" if is_held else "handed over", attempt.worker)


def lapse(attempt: Attempt, checkpoint: str) -> str | None:
    """running -> pending (or error, after too many) because the lease ran out.

    `checkpoint` is the newest one's id: a step forward since the last lapse starts the count anew. Returns the new
    status, or None where the attempt lives after all, or somebody holds a lock: who stands still with it must not keep
    the sweeper from the others.
    """
    with transaction.atomic():
        session = Session.objects.filter(pk=attempt.task.session_id)
        held = Task.objects.filter(pk=attempt.task_id, status=Status.RUNNING, token=attempt.token)
        over = leases.over(Attempt.objects.filter(pk=attempt.pk, ended_at=None), "lease_until")
        if not (_free(session) and (task := _free(held)) and _free(over)):
            return None
        lapses = task.lapses + 1 if checkpoint == task.last_checkpoint else 1
        _end(attempt, task, Attempt.Outcome.LAPSED, Status.PENDING, lapses=lapses, last_checkpoint=checkpoint)
        if lapses >= settings.TASK_MAX_LAPSES:
            _move(task, Status.ERROR, message=POISON.format(count=lapses))
            _settle(task)
    logger.warning(
        "task %s: the lease of %s lapsed (%d in a row), now %s", task.pk, attempt.worker, lapses, task.status
    )
    return task.status


def wake(task: Task) -> bool:
    """interrupted -> pending, because an answer came. False where the task is not interrupted: its run will see it."""
    with transaction.atomic():
        held = _locked(pk=task.pk, status=Status.INTERRUPTED).first()
        if held is not None:
            _move(held, Status.PENDING, held_tool="")
    return held is not None


def cancel(task: Task) -> Task:
    """Any unfinished state -> cancelled, and the token of a running attempt is void. A finished task stays as it is.

    Raises NotFound where the task has been deleted meanwhile.
    """
    with transaction.atomic():
        sessions.lock(task.session_id)
        held = _locked(pk=task.pk).first()
        if held is None:
            raise NotFound(NO_TASK)
        if held.status in FINAL:
            return held
        running = Attempt.objects.filter(task=held, ended_at=None).first()
        if running is None:
            _move(held, Status.CANCELLED)
        else:
            _end(running, held, Attempt.Outcome.VOIDED, Status.CANCELLED)
        _settle(held)
    logger.info("task %s: cancelled", task.pk)
    return held


def remove(session: Session, tasks: QuerySet[Task]) -> int:
    """Any state -> gone, with attempts, questions, ledger and checkpoints. The caller holds `sessions.lock_named`.

    Returns how many tasks there were. The next task of the session is not started: `promote` does that.
    """
    count = remove_all(tasks.filter(session=session))
    logger.info("session %s: %d task(s) removed", session.pk, count)
    return count


def remove_all(tasks: QuerySet[Task]) -> int:
    """As `remove`, for tasks of several sessions, all of which the caller has locked."""
    pks = list(tasks.values_list("pk", flat=True))
    for start in range(0, len(pks), REMOVED_AT_ONCE):
        _remove(pks[start : start + REMOVED_AT_ONCE])
    return len(pks)


def _remove(pks: list[uuid.UUID]) -> None:
    held = dict(_locked(pk__in=pks).values_list("pk", "has_thread"))
    # A call that is being entered holds its interrupt before it waits for its attempt: the same order here.
    list(Interrupt.objects.filter(task__in=held).select_for_update(no_key=True).values_list("pk", flat=True))
    # Ending an attempt waits for a checkpoint that is being written; after it none can follow.
    Attempt.objects.filter(task__in=held, ended_at=None).update(ended_at=Now(), outcome=Attempt.Outcome.VOIDED)
    tables.delete(pk for pk, has_thread in held.items() if has_thread)
    Task.objects.filter(pk__in=held).only("pk").delete()


def begin(session: Session, task: Task) -> Task:
    """Store a new task: pending where the session is free, else queued. The caller holds `sessions.lock_named`."""
    busy = session.tasks.filter(status__in=[*ACTIVE, Status.QUEUED]).exists()
    task.user_id = session.user_id
    task.status = Status.QUEUED if busy else Status.PENDING
    task.published_at = None if busy else Now()
    task.position = (session.tasks.aggregate(last=Max("position"))["last"] or 0) + 1
    task.save(force_insert=True)
    if not busy:
        transaction.on_commit(partial(_publish, task.pk), robust=True)
    return task


def promote(session_pk: uuid.UUID) -> Task | None:
    """queued -> pending for the oldest waiting task, where the session is free."""
    with transaction.atomic():
        sessions.lock(session_pk)
        tasks = Task.objects.filter(session=session_pk)
        if tasks.filter(status__in=ACTIVE).exists():
            return None
        task = tasks.filter(status=Status.QUEUED).order_by("position").first()
        if task is not None:
            _move(task, Status.PENDING)
    return task


def republish(task: Task) -> bool:
    """Publish a pending task's job again. False where somebody has just done so, or the broker does not take it."""
    rows = Task.objects.filter(pk=task.pk, status=Status.PENDING, published_at=task.published_at)
    return bool(rows.update(published_at=Now())) and _publish(task.pk)


def require_open(attempt: Attempt) -> None:
    """Lock the attempt's row until the transaction ends. Raises StaleAttempt where it is over."""
    if not Attempt.objects.select_for_update(no_key=True).filter(pk=attempt.pk, ended_at=None).exists():
        raise StaleAttempt


def _conclude(attempt: Attempt, status: str, outcome: str, **values: Any) -> None:
    with transaction.atomic():
        sessions.lock(attempt.task.session_id)
        task = _held(attempt)
        _end(attempt, task, outcome, status, **values)
        _settle(task)
    logger.info("task %s: %s %s", task.pk, status, values.get("message", ""))


def _settle(task: Task) -> None:
    """What follows from a task's end: its open questions close, the session's next task starts, the world is told."""
    interrupts.cancel_open(task)
    promote(task.session_id)
    signals.task_finished.send_robust(sender=Task, task=task)


def _locked(**where: Any) -> QuerySet[Task]:
    # No key: rows that refer to the task can still be inserted, or cancel would deadlock with the ledger.
    return Task.objects.select_for_update(no_key=True).filter(**where)


def _held(attempt: Attempt) -> Task:
    task = _locked(pk=attempt.task_id, status=Status.RUNNING, token=attempt.token).first()
    if task is None:
        raise StaleAttempt
    return task


def _free(rows: QuerySet[Row]) -> Row | None:
    """The row, locked, unless somebody else has locked it."""
    return rows.select_for_update(no_key=True, skip_locked=True).first()


def _end(attempt: Attempt, task: Task, outcome: str, status: str, **values: Any) -> None:
    """The task's next state, and the end of the attempt that brought it there."""
    spent = F("run_seconds") + SecondsSince(Value(attempt.started_at, DateTimeField()))
    _move(task, status, run_seconds=spent, **values)
    Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(ended_at=Now(), outcome=outcome)


def _publish(task_pk: uuid.UUID) -> bool:
    if broker.publish(task_pk):
        return True
    Task.objects.filter(pk=task_pk, status=Status.PENDING).update(published_at=LONG_AGO)  # the next sweep tries again
    return False


def _move(task: Task, status: str, **values: Any) -> None:
    """One conditional update. Raises TransitionLost where the task is not any more in the state that was read."""
    if status not in targets(TASK, task.status):
        raise TransitionLost(f"A task that is {task.status} does not become {status}.")
    if status == Status.PENDING:
        values["published_at"] = Now()
        transaction.on_commit(partial(_publish, task.pk), robust=True)
    rows = Task.objects.filter(pk=task.pk, status=task.status)
    if not rows.update(status=status, updated_at=Now(), **values):
        raise TransitionLost
    task.status = status
