"""Tool calls of ended tasks as messages, so that later tasks know what has run, however its task ended.

The calls come from the ledger. A completed task's own messages hold most of its calls too, but not those of its
sub-agents. The messages of a task that failed or was cancelled are lost, and with them the model's record of its calls.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, TextField

from agents.models import FINAL, Status, Task, ToolCall
from core.text import shortened

WireMessage = dict[str, Any]

UNKNOWN = (
    "It is not known whether this call happened: it was started, and no result of it was stored before the task ended. "
    "It may have had its effect. Do not make the same call again unless somebody has found out that it did not happen."
)
ENDED = {
    Status.ERROR.value: "This task ended with an error before it was answered. {stands} The error: {message}",
    Status.CANCELLED.value: "This task was cancelled before it was answered. {stands}",
}
STANDS = "What the calls above did was not undone."
MESSAGE_LIMIT = 300  # characters of a task's error message


class Keys(Subquery):
    """Subquery for the ids of a task's calls as JSON text: [[row, message, call], …]."""

    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        made = "json_group_array(json_array(id, message_id, tool_call_id))"
        return self.as_sql(compiler, connection, template=f"(SELECT {made} FROM (%(subquery)s) calls)", **more)

    def as_postgresql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        made = "json_agg(json_build_array(id, message_id, tool_call_id))::text"
        return self.as_sql(compiler, connection, template=f"(SELECT {made} FROM (%(subquery)s) calls)", **more)


def told(tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Return the tasks that `messages` applies to: those that completed, and those that ended otherwise after a call.

    They carry the ids of their calls, so that `messages` needs a query only for a task with calls to add.
    """
    calls = ToolCall.objects.filter(task=OuterRef("pk"))
    ended = Q(status=Status.COMPLETED) | (Q(status__in=FINAL) & Exists(calls))
    fields = ("session", "task_id", "position", "query", "status", "message", "result")
    return tasks.filter(ended).only(*fields).annotate(calls=Keys(calls.values("id", "message_id", "tool_call_id")))


def messages(task: Task) -> list[WireMessage]:
    """Return the messages of an ended task from `told`, in the API's form.

    For a completed task: its own messages, with the calls that they lack before the last one. For any other: its
    question, the calls that were made, and how it ended (of type `system`, because neither side wrote it).
    """
    said: list[WireMessage] = (task.result or {}).get("messages", [])
    calls = list(_unseen(task, said))
    if task.status == Status.COMPLETED:
        return [*said[:-1], *calls, *said[-1:]] if calls else said
    ended = ENDED[task.status].format(stands=STANDS, message=shortened(task.message, MESSAGE_LIMIT))
    return [
        {"type": "human", "content": task.query, "id": str(task.pk)},
        *calls,
        {"type": "system", "content": f"[{ended}]", "id": f"{task.pk}-ended"},
    ]


def _unseen(task: Task, said: Iterable[WireMessage]) -> Iterator[WireMessage]:
    """Yield the task's calls that are not in its messages, each with its result."""
    seen = {(one.get("id"), call.get("id")) for one in said for call in one.get("tool_calls", ())}
    keys = json.loads(task.calls or "[]")  # type: ignore[attr-defined]
    missing = [pk for pk, *key in keys if tuple(key) not in seen]
    if not missing:
        return
    together: defaultdict[str, list[ToolCall]] = defaultdict(list)  # calls of one message of the model
    for row in ToolCall.objects.filter(pk__in=missing).order_by("started_at", "pk"):
        together[row.message_id].append(row)
    for rows in together.values():
        yield from _calls(rows)


def _calls(rows: list[ToolCall]) -> Iterator[WireMessage]:
    asked = [{"name": row.tool, "args": row.args, "id": row.tool_call_id} for row in rows]
    # A new id, because LangGraph keeps only the later of two messages with one id: results would lose their calls.
    yield {"type": "ai", "content": "", "id": f"{rows[0].pk}-asked", "tool_calls": asked}
    for row in rows:
        result = UNKNOWN if row.status == ToolCall.Status.STARTED else row.result
        answer = {"type": "tool", "content": result, "id": str(row.pk), "name": row.tool}
        yield {**answer, "tool_call_id": row.tool_call_id}
