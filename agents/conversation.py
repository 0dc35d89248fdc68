"""What a task starts from, and what it leaves behind: messages between LangChain's form and the wire's."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.messages.utils import count_tokens_approximately

from agents.compatible import returned
from agents.graphs import answers
from agents.models import Status, Task
from agentsite.core.text import storable

RETURNED = "returned"  # key of a task's result

WireMessage = dict[str, Any]


def opening(task: Task) -> list[AnyMessage]:
    """The session's earlier conversation within the token budget, then the task's own question.

    Only completed tasks count: one that ended early may hold calls without results, which the next model call refuses.
    """
    earlier: list[AnyMessage] = []
    tasks = Task.objects.filter(session=task.session_id, status=Status.COMPLETED, position__lt=task.position)
    for result in tasks.order_by("-position").values_list("result", flat=True).iterator(chunk_size=20):
        earlier = [*of_result(result or {}), *earlier]
        if count_tokens_approximately(earlier) > settings.CONVERSATION_TOKENS:
            break
    # A cut before a question never parts a tool call from its result.
    kept: list[Any] = trim_messages(
        earlier,
        max_tokens=settings.CONVERSATION_TOKENS,
        token_counter=count_tokens_approximately,
        strategy="last",
        start_on="human",
    )
    return [*kept, HumanMessage(task.query, id=str(task.pk))]


def closing(task: Task, messages: list[AnyMessage]) -> list[WireMessage]:
    """This task's own messages, from its question on, as the API shows and the session keeps them."""
    start = next((i for i, message in enumerate(messages) if message.id == str(task.pk)), 0)
    return to_wire(messages[start:])


def to_result(messages: list[AnyMessage], wire: list[WireMessage]) -> dict[str, Any]:
    """Return what a completed task keeps: its messages, and beside them what endpoints want to see again."""
    own = {message["id"] for message in wire}
    records = returned.of_task([message for message in messages if message.id in own])
    return {"messages": wire, **({RETURNED: records} if records else {})}


def of_result(result: dict[str, Any]) -> list[AnyMessage]:
    """Return the messages that a completed task kept, as a model may be sent them."""
    records = result.get(RETURNED, {})
    messages = from_wire(result.get("messages", []))
    for message in messages:
        if message.id in records:
            message.additional_kwargs[returned.RETURNED] = records[message.id]
    return answers.worded(messages)


def shown(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a task's result as clients see it: what only endpoints need again may be the model's thoughts."""
    return {key: value for key, value in result.items() if key != RETURNED} if result else result


def to_wire(messages: Iterable[BaseMessage]) -> list[WireMessage]:
    """As the API shows messages: {type, content, id, name?, tool_calls?, tool_call_id?, cut_off?}."""
    return [storable(_to_wire(message)) for message in messages]


def from_wire(messages: list[WireMessage]) -> list[AnyMessage]:
    """The messages that `to_wire` wrote."""
    return [_from_wire(message) for message in messages]


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
