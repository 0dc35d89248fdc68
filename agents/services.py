"""The app's public interface: submit, answer, cancel, delete."""

import uuid
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_noop

from agents.models import INTERRUPT, ROLLBACK, UNFINISHED, Interrupt, Session, Status, Task
from agents.models import IdempotencyKey as Keys
from agents.observability import failpoints, tracing
from agents.policy import DAY
from agents.state import events, interrupts, lookups, removal, sessions, tasks
from agents.state.interrupts import Answer as Answer
from agents.watching import publisher
from core.db.clock import seconds_from_now
from core.db.process_cache import process
from core.errors import Conflict, Invalid, NotFound, TooMany
from core.text import canonical, digest
from memory import services as memories

ENQUEUE, REJECT = "enqueue", "reject"
STRATEGIES = (ENQUEUE, REJECT, INTERRUPT, ROLLBACK)  # for a second task in a busy session
NO_SESSION = "There is no such session."
DELETED_AT_ONCE = 500  # sessions in one transaction
TOO_MANY = "{owner} has {limit} or more unfinished tasks."
RETRY_AFTER = 30  # seconds; a guess, because a queue gets shorter when a person decides something


class SessionBusy(Conflict):
    """Error for a task with the strategy `reject` in a busy session."""

    default_detail = gettext_noop("The session has an unfinished task.")
    code = "session_busy"


class DifferentTask(Conflict):
    """Error for a `task_id` that a different task has."""

    default_detail = gettext_noop("A task with this task_id and a different body already exists.")
    code = "task_exists"


class QueueFull(TooMany):
    """Error for a task beyond TASK_MAX_QUEUED."""

    default_detail = gettext_noop("Too many tasks are waiting in this session.")
    code = "queue_full"


class DifferentSession(Conflict):
    """Error for a `session_id` that a different session has."""

    default_detail = gettext_noop("This session already exists with a different title or agent.")
    code = "session_exists"


class KeyReused(Conflict):
    """Error for an Idempotency-Key that was sent with a different body."""

    default_detail = gettext_noop("This Idempotency-Key was already used with a different body.")
    code = "idempotency_key_reused"


class TooManyTasks(TooMany):
    """Error for a task beyond the limit of a user or a principal."""

    default_detail = gettext_noop("Too many tasks are unfinished.")
    code = "too_many_tasks"


@dataclass(frozen=True)
class Submission:
    """A client's request for a task. Missing ids are generated."""

    user_id: str
    query: str
    session_id: str = ""
    task_id: str = ""
    system_message: str = ""
    agent: str = ""  # "": the session's
    multitask_strategy: str = ENQUEUE


def submit(submission: Submission, principal: User, idempotency_key: str = "") -> Task:
    """Store the task and publish its job on commit. A repeated submission starts nothing and cancels nothing.

    Args:
        idempotency_key: identifies a repeated submission that has no task_id; "" if there is none.

    Raises:
        Invalid: there is no such agent.
        DifferentTask, KeyReused: the task_id or the key was used with another body.
        SessionBusy: the session has an unfinished task, and the strategy is REJECT.
        QueueFull: too many tasks are queued in the session.
        TooManyTasks: the user or the principal has too many unfinished tasks.
    """
    _require_agent(submission.agent)
    body = digest(canonical(asdict(submission)))
    with transaction.atomic():
        if submission.task_id or not idempotency_key:
            return _stored(submission, body, principal)
        if submission.session_id:  # before the key: deleting a session locks them in this order
            sessions.lock_named(submission.user_id, submission.session_id)
        key = _key(principal, idempotency_key, body)
        if key.request_digest != body:
            raise KeyReused
        if key.task is None:
            key.task = _stored(submission, body, principal)
            key.save(update_fields=["task"])
        return key.task


def _key(principal: User, key: str, body: str) -> Keys:
    """Return the row of this Idempotency-Key with its task. Creates the row if the key is new."""
    rows = Keys.objects.select_related("task__session").filter(principal=principal, key=key)
    rows.filter(created_at__lt=seconds_from_now(-DAY)).delete()
    while True:  # again if the task, and the row with it, is deleted in between
        # Concurrent requests wait here for the first one, and find its task once it has committed.
        Keys.objects.get_or_create(principal=principal, key=key, defaults={"request_digest": body})
        if (row := rows.first()) is not None:
            return row


def _stored(submission: Submission, body: str, principal: User) -> Task:
    if submission.session_id:
        session, is_new = sessions.lock_named(submission.user_id, submission.session_id)
    else:
        session, is_new = sessions.create(submission.user_id), True
    known = None
    if submission.task_id and not is_new:
        known = session.tasks.filter(task_id=submission.task_id).first()
    if known is not None:
        if known.request_digest != body:
            raise DifferentTask
        return known
    task = Task(
        session=session,
        task_id=submission.task_id or str(uuid.uuid4()),
        query=submission.query,
        system_message=submission.system_message,
        agent=submission.agent or session.agent,
        request_digest=body,
        submitted_by=principal,
        **tracing.origin(),
    )
    is_busy = not is_new and _is_busy(session, task, submission.multitask_strategy)
    _require_few(submission.user_id, principal)
    return tasks.begin(session, task, is_busy=is_busy, is_first=is_new)


def _require_agent(alias: str) -> None:
    if alias and alias not in settings.AGENTS:
        raise Invalid(errors={"agent": [f"There is no agent called {alias!r}."]})


def _is_busy(session: Session, task: Task, strategy: str) -> bool:
    """Return whether the session has an unfinished task, once the strategy has made room for the new one.

    Raises SessionBusy and QueueFull.
    """
    if strategy in (INTERRUPT, ROLLBACK):
        tasks.supersede(session, task.task_id, strategy)
        return False
    # One that is active and as many as may be queued: more need not be counted.
    found = list(
        session.tasks.filter(status__in=UNFINISHED).values_list("status", flat=True)[: settings.TASK_MAX_QUEUED + 1]
    )
    if strategy == REJECT and found:
        raise SessionBusy
    if found.count(Status.QUEUED) >= settings.TASK_MAX_QUEUED:
        raise QueueFull(retry_after=RETRY_AFTER)
    return bool(found)


def unfinished() -> QuerySet[Task, Any]:
    """Return the statuses of all unfinished tasks. Filtered by user or principal, it needs only an index."""
    return Task.objects.filter(status__in=UNFINISHED).values("status")


def _require_few(user_id: str, principal: User) -> None:
    """Raise TooManyTasks if the user or the principal has too many unfinished tasks.

    Not exact: concurrent requests for other sessions don't see each other's tasks, and for STALENESS_SECONDS a process
    does not see what others have submitted for the principal.
    """
    limit = settings.TASKS_IN_FLIGHT_PER_USER
    if limit and len(unfinished().filter(user_id=user_id)[:limit]) >= limit:
        raise TooManyTasks(TOO_MANY.format(owner=f"The user {user_id!r}", limit=limit), retry_after=RETRY_AFTER)
    limit = settings.TASKS_IN_FLIGHT_PER_PRINCIPAL
    if limit and not _has_room(principal, limit):
        raise TooManyTasks(TOO_MANY.format(owner="This principal", limit=limit), retry_after=RETRY_AFTER)


def _has_room(principal: User, limit: int) -> bool:
    """Return whether the principal may have another unfinished task, and count it.

    Counting thousands of tasks takes longer than all else that a submission does, so the room that was left is
    remembered for a moment.
    """
    name = f"room:{principal.pk}"
    with suppress(ValueError):  # not remembered
        if process.decr(name) >= 0:
            return True
    room = limit - unfinished().filter(submitted_by=principal)[:limit].count()
    process.set(name, room - 1, settings.STALENESS_SECONDS)
    return room > 0


def answer(interrupt: Interrupt, given: Answer) -> None:
    """Store the answer and wake the task, or cancel it if it may use no more of a budget.

    The caller holds the locks on the task and on this open interrupt; before a cancellation, also on the session.

    Raises Conflict if the interrupt is no longer open.
    """
    failpoints.here("before-answer")
    if not interrupts.resolve(interrupt, given):
        raise Conflict(gettext("This review is no longer open."), code="not_open")
    events.append(interrupt.task, [events.decided(interrupt, given.type, given.by)])
    if interrupt.kind == Interrupt.Kind.BUDGET and given.type == "reject":
        tasks.cancel(interrupt.task)
    else:
        tasks.wake(interrupt.task)
    failpoints.here("after-answer")


def open_session(user_id: str, session_id: str, title: str, agent: str) -> tuple[Session, bool]:
    """Open a session before its first task. Returns the session and whether it is new.

    A repeated call with the same values returns the existing session.

    Raises:
        Invalid: there is no such agent.
        DifferentSession: it exists with another title or agent.
    """
    _require_agent(agent)
    given = {name: value for name, value in (("title", title), ("agent", agent)) if value}
    session, made = sessions.open_named(user_id, session_id, **given)
    if not made and any(getattr(session, name) != value for name, value in given.items()):
        raise DifferentSession
    return session, made


def find_session(user_id: str, session_id: str) -> Session:
    """Return the session with these ids. Raises NotFound."""
    session = Session.objects.filter(user_id=user_id, session_id=session_id).first()
    if session is None:
        raise NotFound(NO_SESSION)
    return session


def delete_session(user_id: str, session_id: str) -> None:
    """Delete the session and everything that belongs to it; a running task is stopped first. Raises NotFound."""
    with transaction.atomic():
        _delete([_locked(user_id, session_id, NO_SESSION)])


def delete_sessions(pks: Collection[uuid.UUID], still: QuerySet[Session]) -> int:
    """Delete these sessions as `delete_session` does, in one transaction. Returns how many.

    Deletes only sessions that are among the rows of `still` once they are locked, because a task may have been added.
    Skips sessions that another transaction has locked, because they are in use.
    """
    with transaction.atomic():
        rows = Session.objects.select_for_update(no_key=True, skip_locked=True).filter(pk__in=pks).order_by("pk")
        locked = list(rows.values_list("pk", flat=True))
        # A separate statement, because the one that locks sees the tasks as they were before it got the locks.
        going = list(still.filter(pk__in=locked))
        _delete(going)
    return len(going)


def delete_sessions_of(user_id: str) -> Iterator[int]:
    """Delete all sessions of the user as `delete_session` does, one transaction per batch. Yields how many."""
    rows = Session.objects.select_for_update(no_key=True).filter(user_id=user_id).order_by("pk")
    while True:
        with transaction.atomic():
            going = list(rows[:DELETED_AT_ONCE])
            _delete(going)
        if not going:
            return
        yield len(going)


def _delete(going: list[Session]) -> None:
    pks = [session.pk for session in going]
    removal.remove_all(Task.objects.filter(session__in=pks))
    for session in going:
        transaction.on_commit(partial(publisher.publish_change, session.pk, session.pk))
    memories.erase_sessions([(session.user_id, session.session_id) for session in going])
    Session.objects.filter(pk__in=pks).delete()


def delete_task(user_id: str, session_id: str, task_id: str) -> None:
    """Delete the task and its messages in the conversation, and start the next task. Raises NotFound."""
    with transaction.atomic():
        session = _locked(user_id, session_id, tasks.NO_TASK)
        if not removal.remove(session, session.tasks.filter(task_id=task_id)):
            raise NotFound(tasks.NO_TASK)
        tasks.promote(session.pk)


def _locked(user_id: str, session_id: str, missing: str) -> Session:
    rows = Session.objects.select_for_update(no_key=True)
    session = rows.filter(user_id=user_id, session_id=session_id).first()
    if session is None:
        raise NotFound(missing)
    return session


def cancel(task: Task) -> Task:
    """Cancel the task: immediately for the client, at the next step for its worker. A finished task stays as it is.

    Raises NotFound if the task has been deleted.
    """
    return tasks.cancel(task)


def find_task(user_id: str, session_id: str, task_id: str) -> Task:
    """Return the task with these ids. Raises NotFound."""
    task = lookups.find(user_id, session_id, task_id)
    if task is None:
        raise NotFound(tasks.NO_TASK)
    return task
