"""Ledger of at-most-once tool calls: a call is entered before it runs, and closed by the attempt that opened it.

Only this module writes the status of a tool call; `transitions.TOOL_CALL` is the table.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.db import transaction
from django.db.models import F, QuerySet

from agents import config, pauses
from agents.desk import desk
from agents.models import Attempt, Interrupt, Task, ToolCall
from agents.observability import failpoints, metrics
from agents.policy import Denied
from agents.state import events, interrupts, statements, tasks
from agents.watching import publisher
from core.db.clock import Now
from core.db.compiled import Compiled

logger = logging.getLogger(__name__)

NODE = "node:"  # prefix of the substitute for a message id, for a call that no message of the conversation asks for


_FOUND = Compiled[ToolCall](
    lambda task, message, call: ToolCall.objects.filter(task_id=task, message_id=message, tool_call_id=call)
)


class RuleLapsed(Exception):
    """The rule that allowed the call no longer does: it is used up, expired or switched off."""


@dataclass(frozen=True)
class Entry:
    """A call to enter in the ledger, with its arguments and its approval."""

    message_id: str
    tool_call_id: str
    tool: str
    args_text: str
    args_digest: str
    approved_by: Interrupt | None = None  # None: the policy let it through
    rule_id: int | None = None  # the rule that let it through or denied it, if any
    outer: uuid.UUID | None = None  # the outer call, if a sub-agent makes this one


def key_of(task_pk: uuid.UUID, message_id: str, tool_call_id: str) -> uuid.UUID:
    """Return the row's id, which is also the call's idempotency key.

    It is the same every time this call is entered, even after `take_back`.
    """
    return uuid.uuid5(task_pk, f"{message_id}/{tool_call_id}")


def find(task: Task, message_id: str, tool_call_id: str) -> ToolCall | None:
    """Return the call's row, or None if it has not been entered."""
    return _FOUND.first(task.pk, message_id, tool_call_id)


def enter(attempt: Attempt, entry: Entry) -> ToolCall:
    """Enter the call as started, right before it runs, and count its rule's use in the same transaction.

    Raises StaleAttempt, RuleLapsed, and OnHold if the call is paused. Then nothing is entered and no answer is used.
    """
    failpoints.here("before-entry")
    row = ToolCall(
        id=key_of(attempt.task_id, entry.message_id, entry.tool_call_id),
        task=attempt.task,
        attempt=attempt,
        message_id=entry.message_id,
        tool_call_id=entry.tool_call_id,
        tool=entry.tool,
        args_text=entry.args_text,
        args_digest=entry.args_digest,
        reviewed=entry.approved_by is not None,
        outer=entry.outer,
    )
    with transaction.atomic():
        pauses.announce_entry()
        if entry.approved_by is not None:
            tasks.lock(attempt.task_id)  # before its interrupts
            interrupts.use(entry.approved_by)
        _enter(attempt, row)
        if entry.rule_id is not None and not config.policy(attempt.task.agent).consume(row, entry.rule_id):
            raise RuleLapsed
        row.admitted_by = entry.rule_id
    failpoints.here("after-entry")
    return row


def _enter(attempt: Attempt, row: ToolCall) -> None:
    """Store the row. Raises StaleAttempt and OnHold."""
    if not statements.are_there():
        pauses.require_none(attempt.task, row.tool)
        tasks.require_open(attempt)
        row.save(force_insert=True)
        events.append(attempt.task, [events.tool_started(row)])
        return
    entered = statements.enter(row, attempt.task)
    if entered.is_paused:
        raise pauses.OnHold(row.tool)
    if not entered.is_open:
        raise tasks.StaleAttempt
    transaction.on_commit(partial(publisher.publish_change, attempt.task.session_id, attempt.task_id))
    row.started_at = entered.started_at  # type: ignore[assignment] # the row was entered
    row._state.adding = False


def deny(attempt: Attempt, entry: Entry) -> None:
    """Have the policy record that it denied this call. Raises StaleAttempt."""
    _record(attempt, entry, config.policy(attempt.task.agent).record_denial)


def refuse(attempt: Attempt, entry: Entry) -> None:
    """Have the desk record that this call tried to get past its guard. Raises StaleAttempt.

    No policy was asked about it, so no policy can leave it out of the audit log.
    """
    _record(attempt, entry, desk().record_refused)


def _record(attempt: Attempt, entry: Entry, record: Callable[[Denied], bool]) -> None:
    with transaction.atomic():
        tasks.require_open(attempt)
        key = key_of(attempt.task_id, entry.message_id, entry.tool_call_id)
        is_new = record(Denied(attempt.task_id, key, entry.tool, entry.args_text, entry.rule_id))
    metrics.count(metrics.TOOL_CALLS, entry.tool, "denied", by=is_new)


def enter_again(attempt: Attempt, row: ToolCall, answer: Interrupt | None = None) -> ToolCall:
    """Start a call in doubt again with the same idempotency key, because it is idempotent or a person said so.

    Raises StaleAttempt, and OnHold if the call is paused.
    """
    with transaction.atomic():
        pauses.announce_entry()
        pauses.require_none(attempt.task, row.tool)
        tasks.lock(attempt.task_id)
        if answer is not None:
            interrupts.use(answer)
        tasks.require_open(attempt)
        rows = ToolCall.objects.filter(pk=row.pk, status=ToolCall.Status.STARTED, runs=row.runs)
        if not rows.update(attempt=attempt, runs=F("runs") + 1, doubtful=False):
            raise tasks.StaleAttempt
        events.append(attempt.task, [events.tool_started(row)])
    return ToolCall.objects.get(pk=row.pk)


def close(row: ToolCall, status: str, result_text: str) -> bool:
    """Record the outcome of the call. Returns False if the call is already closed.

    A stale attempt may do so too, because only it knows the outcome. This resolves the call's in-doubt interrupt.
    """
    failpoints.here("before-result")
    if not (_closed(row, status, result_text) or _closed_late(row, status, result_text)):
        logger.warning("tool call %s: its result came too late, somebody has settled it", row.pk)
        return False
    row.status, row.result_text = status, result_text
    failpoints.here("after-result")
    metrics.count(metrics.TOOL_CALLS, row.tool, status)
    return True


def _closed(row: ToolCall, status: str, result_text: str) -> bool:
    """Close the call as the attempt that still holds the task: no question about the call can exist yet."""
    if statements.are_there():
        if closed := statements.close(row, status, result_text):
            publisher.publish_change(row.task.session_id, row.task_id)
        return closed
    with transaction.atomic():
        try:
            tasks.require_open(Attempt(pk=row.attempt_id))
        except tasks.StaleAttempt:
            return False
        if closed := bool(_started(row).update(status=status, result_text=result_text, finished_at=Now())):
            events.append(row.task, [events.tool_finished(row, status)])
        return closed


def _closed_late(row: ToolCall, status: str, result_text: str) -> bool:
    """Close the call as an attempt that is over. This answers its interrupt, even one that is just being stored."""
    with transaction.atomic():
        task = Task.objects.select_for_update(no_key=True).filter(pk=row.task_id).first()
        closing = {"status": status, "result_text": result_text, "doubtful": False, "finished_at": Now()}
        if task is None or not _started(row).update(**closing):
            return False
        if (asked := interrupts.resolve_ended(row)) is not None:
            events.append(task, [events.decided(asked, "response", interrupts.SYSTEM)])
            tasks.wake(task)
        return True


def settle(attempt: Attempt, row: ToolCall, answer: Interrupt | None, status: str, result_text: str) -> None:
    """Close a call in doubt without running it, because a person said so or it may not run again.

    Raises StaleAttempt.
    """
    with transaction.atomic():
        tasks.lock(attempt.task_id)
        if answer is not None:
            interrupts.use(answer)
        tasks.require_open(attempt)
        rows = ToolCall.objects.filter(pk=row.pk, status=ToolCall.Status.STARTED)
        settled = rows.update(status=status, result_text=result_text, doubtful=False, finished_at=Now())
        if settled:
            events.append(attempt.task, [events.tool_finished(row, status)])
    metrics.count(metrics.TOOL_CALLS, row.tool, status, by=settled)


def mark_doubtful(row: ToolCall) -> None:
    """Mark the call as in doubt: its tool raised an error that does not say whether the call happened."""
    _started(row).update(doubtful=True)


def take_back(row: ToolCall) -> None:
    """Undo the entry of a call whose tool asked a question before it did anything: this run has not happened.

    An earlier run, after which a person said "run it again", may have happened. In that case the row stays.
    """
    if row.runs == 1:
        with transaction.atomic():
            taken_back, _ = _started(row).delete()
            if taken_back and row.admitted_by is not None:
                config.policy(row.task.agent).give_back(row, row.admitted_by)
    else:
        _started(row).update(runs=F("runs") - 1)


def _started(row: ToolCall) -> QuerySet[ToolCall]:
    """Return the row while it is still open and still belongs to this run of the call."""
    return ToolCall.objects.filter(pk=row.pk, attempt=row.attempt_id, runs=row.runs, status=ToolCall.Status.STARTED)
