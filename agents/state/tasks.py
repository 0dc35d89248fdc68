"""Status changes of tasks. Only this module writes the status of a task; `transitions.TASK` is the table.

Every transition is one conditional update. Locks are taken in one order: session, task, interrupts, attempt. The
session is locked only where a task ends or begins, so that exactly one successor starts.
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
from django.utils.translation import gettext_noop

from agents import broker, pauses, signals
from agents.models import ACTIVE, FINAL, INTERRUPT, UNFINISHED, Attempt, Interrupt, Session, Status, Task
from agents.observability import failpoints, metrics
from agents.state import events, interrupts, sessions, statements
from agents.state.transitions import TASK, targets
from agents.watching import publisher
from core.db import leases
from core.db.clock import Now, SecondsSince, seconds_from_now
from core.db.compiled import Compiled
from core.errors import Conflict, NotFound

logger = logging.getLogger(__name__)

Row = TypeVar("Row", bound=Model)

POISON = (
    "The task stopped its worker {count} times in a row at the same step and was given up. "
    "Trying again will probably fail too. For the cause, see the worker's log."
)

NO_TASK = "There is no such task."
SUPERSEDED = "This task was cancelled because the newer task `{newer}` was submitted with the strategy `{strategy}`."
OVERRUN = "The task ran longer than {limit:g} s, its limit. Try again with a smaller question."
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # publication time of a job that the broker did not take
_LOCKED = Compiled[Task](lambda pk: Task.objects.select_for_update(no_key=True).filter(pk=pk).only("pk"))


class TransitionLost(Conflict):
    """Error for a transition of a task whose status has changed in the meantime."""

    default_detail = gettext_noop("The task was changed by another request. Read it again, then retry.")


class StaleAttempt(Exception):
    """The attempt is over (lease taken over, task cancelled or deleted) and can write nothing more."""


def claim(task_pk: uuid.UUID | str, worker: str) -> Attempt | None:
    """Claim the task (pending -> running) with a new attempt, which has a lease and a token.

    Returns None if the task is not pending, or is paused.
    """
    failpoints.here("before-claim")
    claimed = (statements.claim if statements.are_there() else _claimed)(task_pk, worker, settings.TASK_LEASE_SECONDS)
    if claimed is None:
        return None
    attempt, task = claimed, claimed.task
    waited = attempt.started_at - task.pending_since  # type: ignore[attr-defined] # both ways of claiming add it
    failpoints.here("after-claim")
    publisher.publish_change(task.session_id, task.pk)
    metrics.observe(metrics.QUEUE_SECONDS, waited.total_seconds())
    extra = {"request_id": task.request_id}  # the caller knows it only after this
    logger.info("task %s: running, attempt %s on %s", task.pk, attempt.token, worker, extra=extra)
    return attempt


def _claimed(task_pk: uuid.UUID | str, worker: str, lease: float) -> Attempt | None:
    """Do what `statements.claim` does."""
    with transaction.atomic():
        # With its session, which the run needs, so that the worker reads the row once. Only the task is locked.
        rows = Task.objects.select_for_update(no_key=True, of=("self",)).select_related("session")
        task: Any = rows.filter(pk=task_pk, status=Status.PENDING).first()
        if task is None or pauses.over(task, task.held_tool) is not None:
            return None
        until = seconds_from_now(lease)
        attempt: Attempt = Attempt.objects.create(task=task, token=task.token + 1, worker=worker, lease_until=until)
        task.pending_since = task.updated_at
        _move(task, Status.RUNNING, token=attempt.token, has_thread=True, published_at=None, held_tool="")
    return attempt


def interrupt(attempt: Attempt, asking: Iterable[Interrupt], held_tool: str = "") -> str:
    """Interrupt the task (running -> interrupted) and store its open questions; -> pending if one is already answered.

    `held_tool` is another call of the same step that is paused: once it is resumed, the task does not wait for the
    answers. Returns the new status. Raises StaleAttempt.
    """
    failpoints.here("before-pause")
    with transaction.atomic():
        task = _held(attempt)
        stored = [interrupts.store(question) for question in asking]
        asked = [row for row, _ in stored]
        interrupts.use_all_but(task, asked)
        answered = any(row.answered_at for row in asked)
        status = Status.PENDING if answered else Status.INTERRUPTED
        events.append(task, [events.asked(row) for row, made in stored if made])
        _end(attempt, task, Attempt.Outcome.PAUSED, status, lapses=0, held_tool="" if answered else held_tool)
        if new := [row for row, made in stored if made and row.status == Interrupt.Status.PENDING]:
            signals.reviews_asked.send_robust(sender=Interrupt, reviews=new)
    failpoints.here("after-pause")
    logger.info("task %s: %s, %d open question(s)", task.pk, status, sum(not row.answered_at for row in asked))
    return status


def finish(attempt: Attempt, result: dict[str, Any], message: str = "") -> None:
    """Complete the task (running -> completed), with a message if the answer is incomplete. Raises StaleAttempt."""
    _conclude(attempt, Status.COMPLETED, Attempt.Outcome.FINISHED, result=result, message=message)


def fail(attempt: Attempt, message: str) -> None:
    """Fail the task (running -> error) with a message for client developers. Raises StaleAttempt."""
    _conclude(attempt, Status.ERROR, Attempt.Outcome.FAILED, message=message)


def overrun(attempt: Attempt) -> bool:
    """Fail a task that has exceeded its wall-clock time (running -> error). Returns False if the attempt is over.

    A tool that is still running closes its ledger row all the same.
    """
    try:
        fail(attempt, OVERRUN.format(limit=settings.TASK_WALL_SECONDS))
    except StaleAttempt:
        return False
    return True


def release(attempt: Attempt, held_tool: str = "") -> None:
    """Release the task (running -> pending), because the worker drains or a pause holds it. Raises StaleAttempt.

    `held_tool` is the tool before whose call the pause stopped the task. No worker claims the task while it is paused.
    """
    with transaction.atomic():
        task = _held(attempt)
        is_held = bool(held_tool) or pauses.over(task) is not None
        outcome = Attempt.Outcome.HELD if is_held else Attempt.Outcome.RELEASED
        _end(attempt, task, outcome, Status.PENDING, lapses=0, held_tool=held_tool)
    logger.info("task %s: pending, %s by %s", task.pk, "held" if is_held else "handed over", attempt.worker)


def lapse(attempt: Attempt, checkpoint: str) -> str | None:
    """Expire the attempt, whose lease is over (running -> pending, or -> error after too many in a row).

    `checkpoint` is the newest one's id: progress since the last expired lease resets the count. Returns the new status,
    or None if the attempt is still alive or another transaction holds a lock: a stalled one must not block the sweeper.
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
    """Wake the task (interrupted -> pending), because it was answered or a pause was lifted.

    Returns False if the task is not interrupted: its run will see the answer.
    """
    with transaction.atomic():
        held = _locked(pk=task.pk, status=Status.INTERRUPTED).first()
        if held is not None:
            _move(held, Status.PENDING, held_tool="")
    return held is not None


def cancel(task: Task) -> Task:
    """Cancel an unfinished task. A finished task stays as it is.

    Voids the token of a running attempt, cancels the open questions and starts the session's next task. Raises NotFound
    if the task has been deleted.
    """
    with transaction.atomic():
        sessions.lock(task.session_id)
        held = _locked(pk=task.pk).first()
        if held is None:
            raise NotFound(NO_TASK)
        if held.status in FINAL:
            return held
        _drop(held)
        _settle(held)
    logger.info("task %s: cancelled", task.pk)
    return held


def supersede(session: Session, newer: str, strategy: str) -> None:
    """Cancel all unfinished tasks of the session as `cancel` does, because a newer one takes their place.

    The queued ones too: their users have said "stop" after them. The caller has locked the session.

    Args:
        newer: the task_id of the newer task.
        strategy: INTERRUPT or ROLLBACK.
    """
    message = SUPERSEDED.format(newer=newer, strategy=strategy)
    for held in list(_locked(session=session, status__in=UNFINISHED).order_by("position")):
        interrupts.cancel_open(held)
        to_keep = strategy == INTERRUPT and held.has_thread
        _drop(held, superseded=strategy, to_keep=to_keep, message=message)
        signals.task_finished.send_robust(sender=Task, task=held)
        logger.info("task %s: cancelled by a newer one, %s", held.pk, strategy)


def begin(session: Session, task: Task, *, is_busy: bool, is_first: bool) -> Task:
    """Store a new task: pending if the session is free, else queued. The caller has locked the session and looked."""
    last = None if is_first else session.tasks.aggregate(last=Max("position"))["last"]
    task.user_id = session.user_id
    task.status = Status.QUEUED if is_busy else Status.PENDING
    task.published_at = None if is_busy else Now()
    task.position = (last or 0) + 1
    task.last_seq = 1
    task.save(force_insert=True)
    events.append_counted(task, [events.status(task.wire_status)])
    if not is_busy:
        transaction.on_commit(partial(_publish, task.pk), robust=True)
    return task


def promote(session_pk: uuid.UUID) -> Task | None:
    """Start the session's oldest queued task (queued -> pending) if the session is free. Returns the task or None."""
    with transaction.atomic():
        sessions.lock(session_pk)
        return _next(session_pk)


def _next(session_pk: uuid.UUID) -> Task | None:
    """Start the session's oldest queued task as `promote` does. The caller has locked the session."""
    tasks = Task.objects.filter(session=session_pk)
    task = tasks.filter(status=Status.QUEUED).order_by("position").first()
    if task is None or tasks.filter(status__in=ACTIVE).exists():
        return None
    _move(task, Status.PENDING)
    return task


def republish(task: Task) -> bool:
    """Publish a pending task's job again.

    Returns False if the task is no longer pending, another process just published it, or the broker refuses the job.
    """
    rows = Task.objects.filter(pk=task.pk, status=Status.PENDING, published_at=task.published_at)
    return bool(rows.update(published_at=Now())) and _publish(task.pk)


def append_event(attempt: Attempt, event: events.NewEvent) -> None:
    """Append an event of a running task. Raises StaleAttempt."""
    with transaction.atomic():
        events.append(_held(attempt), [event])


def lock(pk: uuid.UUID) -> None:
    """Lock the task's row until the transaction ends. Interrupts and attempts are locked after it."""
    _LOCKED(pk)


def require_open(attempt: Attempt) -> None:
    """Lock the attempt's row until the transaction ends. Raises StaleAttempt if the attempt is over."""
    if not Attempt.objects.select_for_update(no_key=True).filter(pk=attempt.pk, ended_at=None).exists():
        raise StaleAttempt


def _conclude(
    attempt: Attempt, status: str, outcome: str, *, result: dict[str, Any] | None = None, message: str = ""
) -> None:
    with transaction.atomic():
        sessions.lock(attempt.task.session_id)
        if statements.are_there():
            is_next = statements.conclude(attempt, status, outcome, result, message)
            if is_next is None:
                raise StaleAttempt
            task = attempt.task
            task.status = status
            transaction.on_commit(partial(publisher.publish_change, task.session_id, task.pk))
            if is_next:
                _next(task.session_id)
            signals.task_finished.send_robust(sender=Task, task=task)
        else:
            task = _held(attempt)
            _end(attempt, task, outcome, status, result=result, message=message)
            _settle(task)
    logger.info("task %s: %s %s", task.pk, status, message)


def _settle(task: Task) -> None:
    """Cancel the ended task's open interrupts, start the session's next task and send `task_finished`.

    The caller has locked the session.
    """
    interrupts.cancel_open(task)
    _next(task.session_id)
    signals.task_finished.send_robust(sender=Task, task=task)


def _locked(**where: Any) -> QuerySet[Task]:
    # no_key, so that rows that refer to the task can be inserted: otherwise cancel would deadlock with the ledger.
    return Task.objects.select_for_update(no_key=True).filter(**where)


def _held(attempt: Attempt) -> Task:
    task = _locked(pk=attempt.task_id, status=Status.RUNNING, token=attempt.token).first()
    if task is None:
        raise StaleAttempt
    return task


def _free(rows: QuerySet[Row]) -> Row | None:
    """Return the row, locked, or None if another transaction has locked it."""
    return rows.select_for_update(no_key=True, skip_locked=True).first()


def _end(attempt: Attempt, task: Task, outcome: str, status: str, **values: Any) -> None:
    """Move the task to its next status and end the attempt."""
    spent = F("run_seconds") + SecondsSince(Value(attempt.started_at, DateTimeField()))
    _move(task, status, run_seconds=spent, **values)
    Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(ended_at=Now(), outcome=outcome)


def _drop(task: Task, **values: Any) -> None:
    """Move an unfinished task to cancelled, and void the token of its running attempt."""
    running = Attempt.objects.filter(task=task, ended_at=None).first()
    if running is None:
        _move(task, Status.CANCELLED, **values)
    else:
        _end(running, task, Attempt.Outcome.VOIDED, Status.CANCELLED, **values)


def _publish(task_pk: uuid.UUID) -> bool:
    if broker.publish(task_pk):
        return True
    Task.objects.filter(pk=task_pk, status=Status.PENDING).update(published_at=LONG_AGO)  # the next sweep tries again
    return False


def _move(task: Task, status: str, **values: Any) -> None:
    """Change the status in one conditional update.

    Raises TransitionLost if the change is not allowed or the task is no longer in the state that was read.
    """
    if status not in targets(TASK, task.status):
        raise TransitionLost(f"A task that is {task.status} does not become {status}.")
    if status == Status.PENDING:
        values["published_at"] = Now()
        transaction.on_commit(partial(_publish, task.pk), robust=True)
    rows = Task.objects.filter(pk=task.pk, status=task.status)
    if not rows.update(status=status, updated_at=Now(), last_seq=F("last_seq") + 1, **values):
        raise TransitionLost
    task.status = status
    events.append_counted(task, [events.status(task.wire_status, values.get("message", ""))])
