"""What ended tasks leave in their session's conversation, as messages, so that later tasks know what has run.

A completed task leaves its messages, and an interrupted one those that it had finished. The messages of a task that
failed or was cancelled are lost, and those of one that was rolled back are forgotten. The calls of any task come from
the ledger, however it ended.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, TextField

from agents.models import FINAL, INTERRUPT, ROLLBACK, Status, Task, ToolCall
from agents.state.tool_calls import NODE
from core.text import shortened

WireMessage = dict[str, Any]
Key = tuple[Any, Any]  # of a call: the ids of the message that asks for it, and of the call

UNKNOWN = (
    "It is not known whether this call happened: it was started, and no result of it was stored before the task ended. "
    "It may have had its effect. Do not make the same call again unless somebody has found out that it did not happen."
)
NOT_MADE = "This call was not made, because the task was cancelled first."
ENDED = {
    Status.ERROR.value: "This task ended with an error before it was answered. {stands} The error: {message}",
    Status.CANCELLED.value: "This task was cancelled before it was answered. {stands}",
    INTERRUPT: "The user stopped this task with a newer message before it was answered. {stands}",
}
TAKEN_BACK = "The user has taken back a message here, and the task that it began."
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
    """Return the tasks that `messages` applies to: completed and interrupted ones, and others that ended after a call.

    They carry the ids of their calls, so that `messages` needs a query only for a task with calls to add.
    """
    calls = ToolCall.objects.filter(task=OuterRef("pk"))
    ended = Q(status=Status.COMPLETED) | Q(superseded=INTERRUPT) | (Q(status__in=FINAL) & Exists(calls))
    fields = ("session", "task_id", "position", "query", "status", "message", "result", "superseded", "to_keep", "kept")
    return tasks.filter(ended).only(*fields).annotate(calls=Keys(calls.values("id", "message_id", "tool_call_id")))


def messages(task: Task) -> list[WireMessage]:
    """Return the messages of an ended task from `told`, in the API's form.

    For a completed task: its own messages, with the calls that they lack before the last one. For any other: its
    question (and what an interrupted one had finished), the calls that were made, and how it ended.
    """
    if task.superseded == INTERRUPT:
        return _interrupted(task)
    said: list[WireMessage] = (task.result or {}).get("messages", [])
    rows = _rows(task, but={key for key, _ in _asked(said)})
    calls = [*_calls(_others(rows, _placed(task, said, rows)))]
    if task.status == Status.COMPLETED:
        return [*said[:-1], *calls, *said[-1:]] if calls else said
    begun = _note(task, "begun", TAKEN_BACK) if task.superseded == ROLLBACK else question(task)
    return [begun, *calls, _ending(task, task.status)]


def question(task: Task) -> WireMessage:
    """Return the task's query as a message."""
    return {"type": "human", "content": task.query, "id": str(task.pk)}


def is_ending(task: Task, message: WireMessage) -> bool:
    """Return whether this message of the task says how it ended."""
    return bool(message["id"] == f"{task.pk}-ended")


def _interrupted(task: Task) -> list[WireMessage]:
    """Return what the task had finished, with a result for each call, then the calls that it lacks, and its end.

    The calls are looked up each time, because one may end after its task. After a last answer, its end says nothing.
    """
    said: list[WireMessage] = (task.kept or {}).get("messages") or [question(task)]
    rows = _rows(task, but={key for key, _ in _asked(said)} - _open(said))
    placed = _placed(task, said, rows)
    closed = _closed(said, placed)
    calls = _calls(_others(rows, placed))
    if closed[-1]["type"] == "ai":
        return [*closed[:-1], *calls, closed[-1]]
    return [*closed, *calls, _ending(task, INTERRUPT)]


def _ending(task: Task, kind: str) -> WireMessage:
    stands = STANDS if _keys(task) else ""
    text = ENDED[kind].format(stands=stands, message=shortened(task.message, MESSAGE_LIMIT))
    return _note(task, "ended", text.strip())


def _note(task: Task, place: str, text: str) -> WireMessage:
    """Return a message of the type `system`, because neither side wrote it."""
    return {"type": "system", "content": f"[{text}]", "id": f"{task.pk}-{place}"}


def _keys(task: Task) -> list[list[Any]]:
    """Return the ids of the task's calls in the ledger: of the row, the message and the call."""
    keys: list[list[Any]] = json.loads(task.calls or "[]")  # type: ignore[attr-defined]
    return keys


def _rows(task: Task, but: set[Key]) -> list[ToolCall]:
    """Return the task's calls in the ledger but for these, oldest first."""
    wanted = [pk for pk, *key in _keys(task) if tuple(key) not in but]
    return list(ToolCall.objects.filter(pk__in=wanted).order_by("started_at", "pk")) if wanted else []


def _asked(said: Iterable[WireMessage]) -> Iterator[tuple[Key, str]]:
    """Yield the calls that the messages ask for, each with its tool."""
    for one in said:
        for call in one.get("tool_calls", ()):
            yield (one.get("id"), call.get("id")), call["name"]


def _placed(task: Task, said: list[WireMessage], rows: Iterable[ToolCall]) -> dict[Key, ToolCall]:
    """Return those of the rows whose call the messages ask for, by call.

    A row does not always name the message, because not every graph tells which it is. Such a row belongs to the first
    message with a call of the same id and tool that has no row so far. Ids recur: a row too many is another call.
    """
    asked = dict(_asked(said))
    named = {(message, call) for _, message, call in _keys(task)}
    placed: dict[Key, ToolCall] = {}
    for row in rows:
        key: Key | None = (row.message_id, row.tool_call_id)
        if row.message_id.startswith(NODE) and row.outer is None:
            free = (key for key, tool in asked.items() if key not in named and key not in placed and tool == row.tool)
            key = next((key for key in free if key[1] == row.tool_call_id), None)
        if key in asked:
            placed[key] = row
    return placed


def _others(rows: Iterable[ToolCall], placed: dict[Key, ToolCall]) -> Iterator[ToolCall]:
    """Yield the rows of calls that the messages do not ask for."""
    pks = {row.pk for row in placed.values()}
    return (row for row in rows if row.pk not in pks)


def _open(said: Iterable[WireMessage]) -> set[Key]:
    """Return the calls that the messages ask for and that have no result in them."""
    found: set[Key] = set()
    asker = None
    for one in said:
        if one["type"] == "tool":
            found.discard((asker, one["tool_call_id"]))
        else:
            asker = one["id"]
            found |= {key for key, _ in _asked([one])}
    return found


def _closed(said: Iterable[WireMessage], rows: dict[Key, ToolCall]) -> list[WireMessage]:
    """Return the messages with a result after each call that has none, because no endpoint accepts one without."""
    closed: list[WireMessage] = []
    waiting: dict[Any, WireMessage] = {}
    for one in said:
        if one["type"] == "tool":
            waiting.pop(one["tool_call_id"], None)
        else:
            closed += waiting.values()
            waiting = {call["id"]: _closing(one, call, rows) for call in one.get("tool_calls", ())}
        closed.append(one)
    return [*closed, *waiting.values()]


def _closing(asker: WireMessage, call: dict[str, Any], rows: dict[Key, ToolCall]) -> WireMessage:
    if (row := rows.get((asker["id"], call["id"]))) is not None:
        return _result(row)
    ids = {"id": f"{asker['id']}-{call['id']}-not-made", "tool_call_id": call["id"]}
    return {"type": "tool", "content": NOT_MADE, "name": call["name"], **ids}


def _calls(rows: Iterable[ToolCall]) -> Iterator[WireMessage]:
    """Yield the calls as messages, each with its result."""
    together: defaultdict[str, list[ToolCall]] = defaultdict(list)  # calls of one message of the model
    for row in rows:
        together[row.message_id].append(row)
    for calls in together.values():
        asked = [{"name": row.tool, "args": row.args, "id": row.tool_call_id} for row in calls]
        # A new id, because LangGraph keeps only the later of two messages with one id: results would lose their calls.
        yield {"type": "ai", "content": "", "id": f"{calls[0].pk}-asked", "tool_calls": asked}
        yield from map(_result, calls)


def _result(row: ToolCall) -> WireMessage:
    result = UNKNOWN if row.status == ToolCall.Status.STARTED else row.result
    answer = {"type": "tool", "content": result, "id": str(row.pk), "name": row.tool}
    return {**answer, "tool_call_id": row.tool_call_id}
