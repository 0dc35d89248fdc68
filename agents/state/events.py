"""Events of tasks: appended by the other writers of the state, read by streams.

Whoever appends has locked the task's row in the same transaction, or does so here, so that `seq` has no gaps.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction

from agents.models import Event, Interrupt, Task, ToolCall
from agents.watching import publisher

_COUNT = "UPDATE agents_task SET last_seq = last_seq + %s WHERE id = %s"
_APPEND = """
    INSERT INTO agents_event (task_id, seq, kind, data)
    SELECT id, last_seq - %s, %s, {data} FROM agents_task WHERE id = %s
"""


@dataclass(frozen=True)
class NewEvent:
    """An event that is not stored yet."""

    kind: str
    data: dict[str, Any]

    @property
    def text(self) -> str:
        """JSON of the data."""
        return json.dumps(self.data, cls=DjangoJSONEncoder)


def append(task: Task, events: Sequence[NewEvent]) -> None:
    """Append events to a task. The caller has a transaction."""
    if events:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [len(events), _key(task.pk)])
        append_counted(task, events)


def append_counted(task: Task, events: Sequence[NewEvent]) -> None:
    """Append events that `last_seq` counts already, because the same transaction has updated the task for them."""
    data = "%s::jsonb" if connection.vendor == "postgresql" else "%s"
    rows = [(len(events) - number, str(one.kind), one.text, _key(task.pk)) for number, one in enumerate(events, 1)]
    with connection.cursor() as cursor:
        cursor.executemany(_APPEND.format(data=data), rows)
    transaction.on_commit(partial(publisher.publish_change, task.session_id, task.pk))


def append_with_cursor(cursor: Any, task_pk: uuid.UUID, events: Sequence[NewEvent]) -> None:
    """Append events by a cursor of SQLite's driver, whose transaction has checked the attempt."""
    if not events:
        return
    cursor.execute(_COUNT.replace("%s", "?"), (len(events), task_pk.hex))
    rows = [(len(events) - number, str(one.kind), one.text, task_pk.hex) for number, one in enumerate(events, 1)]
    cursor.executemany(_APPEND.format(data="?").replace("%s", "?"), rows)


def status(name: str, message: str = "") -> NewEvent:
    """Return the event that the task has this status."""
    return NewEvent(Event.Kind.STATUS, {"status": name, **({"message": message} if message else {})})


def tool_started(row: ToolCall) -> NewEvent:
    """Return the event that a call was entered in the ledger."""
    return NewEvent(Event.Kind.TOOL_STARTED, _call(row))


def tool_finished(row: ToolCall, outcome: str) -> NewEvent:
    """Return the event that a call's row was closed. Its result is in the message that follows."""
    return NewEvent(Event.Kind.TOOL_FINISHED, {**_call(row), "status": outcome})


def asked(row: Interrupt) -> NewEvent:
    """Return the event that a question waits for an answer."""
    data = {
        "interrupt_id": str(row.pk),
        "interrupt_type": row.kind,
        "action_request": {"action": row.tool, "args": json.loads(row.args_text)},
        "description": row.description,
    }
    return NewEvent(Event.Kind.INTERRUPT, data)


def decided(row: Interrupt, response_type: str, by: str) -> NewEvent:
    """Return the event that a question was answered."""
    return NewEvent(Event.Kind.DECISION, {"interrupt_id": str(row.pk), "response_type": response_type, "by": by})


def after(task_pk: uuid.UUID, seq: int, limit: int) -> list[Event]:
    """Return the task's next events after this one, oldest first."""
    return list(Event.objects.filter(task=task_pk, seq__gt=seq).order_by("seq")[:limit])


def _call(row: ToolCall) -> dict[str, Any]:
    return {"name": row.tool, "tool_call_id": row.tool_call_id, "message_id": row.message_id}


def _key(pk: uuid.UUID) -> Any:
    return Task._meta.pk.get_db_prep_value(pk, connection)
