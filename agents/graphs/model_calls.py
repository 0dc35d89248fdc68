"""The middleware around every call of the model: prompt, retries, bounds, and an answer that the rest can rely on."""

import uuid
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

from agents.graphs import bounds
from agents.graphs.endpoint_calls import Handler, asked
from agents.run import Run
from agentsite.core.text import canonical, storable

BROKEN_CALLS = "agentsite_broken_calls"  # ids of calls whose arguments were not JSON


class ModelCalls(AgentMiddleware[Any, Run, Any]):
    """One per graph; what belongs to a run is in the run's context."""

    def wrap_model_call(self, request: ModelRequest[Run], handler: Handler) -> ModelResponse[Any]:
        """Source: AgentMiddleware. Raises ModelFailure, with a message for client developers."""
        run = request.runtime.context
        run.require_time()
        request = request.override(system_message=SystemMessage(run.system_prompt))
        response = bounds.within(lambda each: asked(run, each, handler), request)
        response.result = [_reliable(message) for message in response.result]
        bounds.require_new(run, request.state["messages"], response.result)
        return response


def _reliable(message: BaseMessage) -> BaseMessage:
    """The model's message with ids that are unique, and nothing in it that a database can't hold.

    Some servers send the same id with every answer, which would replace the earlier message; or no id or the same one
    for several calls, which would mix up their reviews and results.
    """
    if not isinstance(message, AIMessage):
        return message
    seen: set[str] = set()
    sound = [call for call in message.tool_calls if _is_json(call["args"])]
    calls = [{**call, "id": _own_id(call["id"], seen)} for call in sound]
    unsound = [call for call in message.tool_calls if not _is_json(call["args"])]
    broken = [
        {"name": call["name"] or "unknown", "args": {}, "id": _own_id(call["id"], seen), "type": "tool_call"}
        for call in (*unsound, *message.invalid_tool_calls)
    ]
    # As ordinary calls, which the gate answers with an error: else such a message would count as the final answer.
    return message.model_copy(
        update={
            "id": str(uuid.uuid4()),
            "content": storable(message.content),
            "tool_calls": storable([*calls, *broken]),
            "invalid_tool_calls": [],
            "additional_kwargs": {BROKEN_CALLS: [call["id"] for call in broken]} if broken else {},
        }
    )


def _is_json(args: Any) -> bool:
    """Whether these are arguments that JSON knows: Python's parser also takes NaN."""
    try:
        canonical(args)
    except (TypeError, ValueError):
        return False
    return True


def _own_id(given: str | None, seen: set[str]) -> str:
    own = given if given and given not in seen and len(given) <= 200 else f"call_{uuid.uuid4().hex}"
    seen.add(own)
    return own
