"""The middleware around every call of the model: prompt, retries, and an answer that the rest can rely on."""

import logging
import random
import uuid
from collections.abc import Callable
from typing import Any

import openai
from django.conf import settings
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_any, stop_before_delay, stop_when_event_set
from tenacity.nap import sleep_using_event

from agents.graphs import context_length
from agents.graphs.watch import Watch, watched
from agents.run import ModelFailure, Run
from agentsite.core.text import canonical, shortened, storable

logger = logging.getLogger(__name__)

RETRIED = {408, 409, 429}  # and 5xx
BROKEN_CALLS = "agentsite_broken_calls"  # ids of calls whose arguments were not JSON

EXPLANATIONS = {
    400: "The model endpoint refused the request. Trying again won't help until the request or the model changes.",
    401: "The model endpoint refused the API key. Trying again won't help until the operator corrects OPENAI_API_KEY.",
    403: "The model endpoint denied access. Trying again won't help until the operator corrects the key or its rights.",
    404: "The model endpoint knows no such model. Trying again won't help until the operator corrects AGENT_MODEL.",
    429: "The model endpoint is over its rate limit or quota and stayed so. Try again later.",
}


class ModelCalls(AgentMiddleware[Any, Run, Any]):
    """One per graph; what belongs to a run is in the run's context."""

    def wrap_model_call(
        self, request: ModelRequest[Run], handler: Callable[[ModelRequest[Run]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Source: AgentMiddleware. Raises ModelFailure, with a message for client developers."""
        run = request.runtime.context
        run.require_time()
        request = request.override(system_message=SystemMessage(run.system_prompt))
        request = context_length.within_budget(request)
        with watched(request.model) as watch:
            retrying = Retrying(
                retry=retry_if_exception(_is_passing),
                wait=_wait,
                stop=stop_any(stop_before_delay(settings.MODEL_RETRY_SECONDS), stop_when_event_set(run.stop)),
                sleep=sleep_using_event(run.stop),
                before_sleep=_note_retry(run, watch),
                reraise=True,
            )
            try:
                response = retrying(context_length.or_with_less(handler, watch.retried), request)
            except Exception as error:
                watch.failed(error)
                raise ModelFailure(explain(error)) from error
            watch.answered(response.result)
        response.result = [_reliable(message) for message in response.result]
        return response


def explain(error: Exception) -> str:
    """What happened and whether trying again can help, for the task's `message`."""
    if context_length.is_too_long(error):
        return f"{context_length.EXPLANATION} It said: {shortened(str(storable(str(error))), 300)}"
    if isinstance(error, openai.APITimeoutError):
        return (
            f"The model did not answer within {settings.MODEL_TIMEOUT_SECONDS:g} s, also when asked again. Try later."
        )
    if isinstance(error, openai.APIConnectionError):
        return "The model endpoint can't be reached. Try again later; the operator checks OPENAI_BASE_URL."
    if isinstance(error, openai.APIStatusError):
        known = EXPLANATIONS.get(error.status_code)
        if known is None:
            known = f"The model endpoint failed with HTTP {error.status_code} and stayed so. Try again later."
        return f"{known} It said: {shortened(str(storable(error.message)), 300)}"
    return (
        "The model endpoint answered something that is no chat completion. Trying again may help; if it goes on, the "
        f"operator checks OPENAI_BASE_URL and AGENT_MODEL. ({type(error).__name__})"
    )


def _is_passing(error: BaseException) -> bool:
    if context_length.is_too_long(error):
        return False
    if isinstance(error, openai.APIStatusError):
        return error.status_code in RETRIED or error.status_code >= 500
    return isinstance(error, openai.APIConnectionError)


def _wait(state: RetryCallState) -> float:
    """Seconds: what the server asks for, else 1 s, doubling, with up to 50 % jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.response.headers.get("retry-after", "") if isinstance(error, openai.APIStatusError) else ""
    if asked.isdigit():
        return float(asked)
    return float(2 ** (state.attempt_number - 1)) * random.uniform(1, 1.5)


def _note_retry(run: Run, watch: Watch) -> Callable[[RetryCallState], None]:
    def note(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        watch.retried(error)
        logger.warning("task %s: model call failed (%s), asking again", run.task.pk, type(error).__name__)

    return note


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
