"""Messages that a task starts from and leaves behind, in LangChain's form and in the API's (wire) form."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage

from agents.models import Task
from agents.runtime.endpoints import returned_fields
from agents.runtime.history import checkpointed, effects, fitting
from agents.runtime.history.task_results import RETURNED
from agents.runtime.middleware import answers
from core.db.connections import is_away
from core.text import storable

logger = logging.getLogger(__name__)

WireMessage = dict[str, Any]

PAGE = 20  # earlier tasks read at once
KEPT_AT_ONCE = 100  # interrupted tasks


def opening(task: Task) -> list[AnyMessage]:
    """Return the session's earlier conversation within the token budget, followed by the task's own question.

    The conversation includes the calls of tasks that failed or were cancelled (see `effects`), and what interrupted
    tasks have finished, which is stored with them here.
    """
    budget = settings.CONVERSATION_TOKENS
    earlier: list[AnyMessage] = []
    least = 0
    for one in _earlier(task):
        if one.to_keep:
            keep(one)
        messages = _retold(one)
        earlier = [*messages, *earlier]
        least += fitting.least(messages, budget)
        if least > budget:
            break  # there is no room for older tasks
    return [*fitting.fitted(earlier, budget), HumanMessage(task.query, id=str(task.pk))]


def closing(task: Task, messages: list[AnyMessage]) -> list[WireMessage]:
    """Return this task's own messages, from its question on, in the form that the API shows and the session keeps."""
    start = next((i for i, message in enumerate(messages) if message.id == str(task.pk)), 0)
    return to_wire(messages[start:])


def keep(task: Task) -> None:
    """Store with an interrupted task what it has finished, which is only in its checkpoints, and these get deleted.

    If they can't be read, its question and its calls stay known. Raises what `is_away` is true for.
    """
    rows = Task.objects.filter(pk=task.pk, to_keep=True)
    try:
        task.kept = _finished(task)
        stored = rows.update(to_keep=False, kept=task.kept)
    except Exception as error:  # a checkpoint may raise anything
        if is_away(error):
            raise
        logger.exception("task %s: what it has finished can't be read, only its calls are known", task.pk)
        stored = rows.update(to_keep=False)
    if not stored or task.kept is None:  # another process did it, and the checkpoints may be gone since
        task.kept = Task.objects.filter(pk=task.pk).values_list("kept", flat=True).first()


def keep_due() -> None:
    """Do what `keep` does for interrupted tasks that no task of their session has followed so far."""
    for task in Task.objects.filter(to_keep=True)[:KEPT_AT_ONCE]:
        keep(task)


def to_result(messages: list[AnyMessage], wire: list[WireMessage]) -> dict[str, Any]:
    """Return the result of a completed task: its messages, and the fields that endpoints expect back."""
    own = {message["id"] for message in wire}
    records = returned_fields.of_task([message for message in messages if message.id in own])
    return {"messages": wire, **({RETURNED: records} if records else {})}


def to_wire(messages: Iterable[BaseMessage]) -> list[WireMessage]:
    """Return messages in the API's form: {type, content, id, name?, tool_calls?, tool_call_id?, cut_off?}."""
    return [storable(_to_wire(message)) for message in messages]


def from_wire(messages: list[WireMessage]) -> list[AnyMessage]:
    """Return LangChain's messages from those that `to_wire` wrote."""
    return [_from_wire(message) for message in messages]


def _earlier(task: Task) -> Iterator[Task]:
    """Yield the session's earlier tasks that a model is told of, newest first.

    Pages in place of a cursor of the server, which costs four statements more.
    """
    before = task.position
    while before > 1:
        rows = effects.told(Task.objects.filter(session=task.session_id, position__lt=before))
        page = list(rows.order_by("-position")[:PAGE])
        yield from page
        before = page[-1].position if len(page) == PAGE else 0


def _finished(task: Task) -> dict[str, Any]:
    messages = checkpointed.messages_of(task)
    own = closing(task, messages)
    begins = bool(own) and own[0]["id"] == str(task.pk)
    return to_result(messages, own if begins else [effects.question(task), *own])


def _retold(task: Task) -> list[AnyMessage]:
    """Return an ended task's messages for a model.

    The message on how it ended becomes an answer, because few endpoints accept a late system message.
    """
    told = [{**one, "type": "ai"} if effects.is_ending(task, one) else one for one in effects.messages(task)]
    records = (task.result or task.kept or {}).get(RETURNED, {})
    messages = from_wire(told)
    for message in messages:
        if message.id in records:
            message.additional_kwargs[returned_fields.RETURNED] = records[message.id]
    return answers.worded(messages)


def _to_wire(message: BaseMessage) -> WireMessage:
    wire: WireMessage = {"type": message.type, "content": message.content, "id": message.id}
    if message.name:
        wire["name"] = message.name
    if isinstance(message, AIMessage) and message.tool_calls:
        wire["tool_calls"] = [{"name": c["name"], "args": c["args"], "id": c["id"]} for c in message.tool_calls]
    if cut := answers.cut_of(message):
        wire["cut_off"] = cut
    if isinstance(message, ToolMessage):
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _from_wire(wire: WireMessage) -> AnyMessage:
    common = {"content": wire["content"], "id": wire["id"], "name": wire.get("name")}
    if wire["type"] == "tool":
        return ToolMessage(tool_call_id=wire["tool_call_id"], **common)
    if wire["type"] == "ai":
        extras = {answers.CUT_OFF: wire["cut_off"]} if "cut_off" in wire else {}
        return AIMessage(tool_calls=wire.get("tool_calls", []), additional_kwargs=extras, **common)
    return HumanMessage(**common)
