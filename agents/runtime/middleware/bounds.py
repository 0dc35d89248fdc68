"""Limits on what a model may ask for: calls in one answer, and repeats of a refused call."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.conf import settings
from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage

from agents.models import Interrupt, Task, ToolCall
from agents.runtime.run_context import ModelFailure, Run, RunFailure
from agents.state import tool_calls
from core.text import same, shortened

logger = logging.getLogger(__name__)

Ask = Callable[[ModelRequest[Run]], ModelResponse[Any]]
Asked = tuple[str, str]  # a tool and its arguments, as canonical text

REFUSED = (
    "The agent requested {tool} again, with the same arguments, after the call had been refused {times} times, so the "
    "task was ended. Ask for something else, or have the arguments or the policy changed."
)
TOO_MANY = (
    "Your answer had {count} tool calls, but at most {limit} are run, so none of them was. Make fewer calls at a "
    "time, and the rest when you have the results."
)
MAX_NAME = 100  # characters


def within(ask: Ask, request: ModelRequest[Run]) -> ModelResponse[Any]:
    """Return the model's answer, with at most ANSWER_MAX_CALLS calls.

    After an answer with more calls, none of them runs, and the model is told the limit and asked once more. Raises
    ModelFailure if that answer has too many calls as well.
    """
    response = ask(request)
    count = _calls_in(response)
    if count <= settings.ANSWER_MAX_CALLS:
        return response
    run = request.runtime.context
    logger.warning("task %s: the model asked for %d calls in one answer, none was run", run.task.pk, count)
    response = ask(request.override(messages=[*request.messages, *_told(count)]))
    again = _calls_in(response)
    if again > settings.ANSWER_MAX_CALLS:
        raise ModelFailure(
            f"The model requested {again} tool calls in one answer, even after it was told that at most "
            f"{settings.ANSWER_MAX_CALLS} are run. None of them has run. Trying again may help."
        )
    return response


def excess(message: AIMessage | None) -> str:
    """Return the message for the model that its answer has too many calls; empty if it does not.

    Each call is checked with this, because a graph may lack our middleware.
    """
    count = len(message.tool_calls) if message is not None else 0
    return TOO_MANY.format(count=count, limit=settings.ANSWER_MAX_CALLS) if count > settings.ANSWER_MAX_CALLS else ""


def require_new(run: Run, messages: Sequence[BaseMessage], answers: Iterable[BaseMessage]) -> None:
    """Require that the answer has no call that was refused TASK_MAX_REFUSALS times in this task.

    A call may be refused by a person, by the policy or by the tool's own schema; one that ran and failed may be tried
    again.

    Args:
        messages: the task's messages so far. They are in its checkpoint, so pauses and attempts don't reset the count.

    Raises:
        RunFailure: the answer has such a call.
    """
    asked = {_key(call) for message in answers if isinstance(message, AIMessage) for call in message.tool_calls}
    own = _own(run.task, messages)
    errors = {m.tool_call_id for m in own if isinstance(m, ToolMessage) and m.status == "error"}
    repeated = [
        (message.id or "", call)
        for message in own
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if call["id"] in errors and _key(call) in asked
    ]
    if len(repeated) < settings.TASK_MAX_REFUSALS:
        return
    ran = set(ToolCall.objects.filter(task=run.task).values_list("message_id", "tool_call_id"))
    ran |= {("", call_id) for message_id, call_id in ran if message_id.startswith(tool_calls.NODE)}
    run.let_go()
    refused = Counter(
        _key(call) for message_id, call in repeated if not ran & {(message_id, call["id"]), ("", call["id"])}
    )
    for (tool, _), times in refused.items():
        _require_fewer(tool, times)


def require_unrejected(task: Task, tool: str, args: dict[str, Any]) -> None:
    """Require that fewer than TASK_MAX_REFUSALS reviews of this call in this task were rejected or expired.

    Checked before a question is asked, because a graph may lack our middleware, and a sub-agent's messages are gone
    when it is called again. Raises RunFailure.
    """
    statuses = (Interrupt.Status.REJECTED, Interrupt.Status.EXPIRED)
    rows = Interrupt.objects.filter(task=task, tool=tool, kind=Interrupt.Kind.TOOL_CALL, status__in=statuses)
    texts = rows.values_list("args_text", flat=True)
    _require_fewer(tool, sum(same(json.loads(text), args) for text in texts))


def _require_fewer(tool: str, times: int) -> None:
    if times >= settings.TASK_MAX_REFUSALS:
        raise RunFailure(REFUSED.format(tool=shortened(tool, MAX_NAME), times=times))


def _calls_in(response: ModelResponse[Any]) -> int:
    answers = [message for message in response.result if isinstance(message, AIMessage)]
    return sum(len(message.tool_calls) + len(message.invalid_tool_calls) for message in answers)


def _told(count: int) -> list[AnyMessage]:
    """Return the turns that report the limit to the model, in a form that every endpoint accepts."""
    return [
        AIMessage(f"[I asked for {count} tool calls at once.]"),
        HumanMessage(TOO_MANY.format(count=count, limit=settings.ANSWER_MAX_CALLS)),
    ]


def _own(task: Task, messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return the messages from the task's own question on, or all if it is not among them, as in a sub-agent."""
    start = next((place for place, message in enumerate(messages) if message.id == str(task.pk)), 0)
    return messages[start:]


def _key(call: Any) -> Asked:
    return call["name"], json.dumps(call["args"], sort_keys=True, default=str)
