"""The middleware around every call of the model: prompt, retries, and an answer that the rest can rely on."""

import logging
import random
from collections.abc import Callable
from typing import Any

import openai
from django.conf import settings
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import SystemMessage
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_any, stop_before_delay, stop_when_event_set
from tenacity.nap import sleep_using_event

from agents import metrics
from agents.graphs import answers
from agents.graphs.watch import Watch, watched
from agents.run import ModelFailure, Run
from agentsite.core.text import shortened, storable

logger = logging.getLogger(__name__)

RETRIED = {408, 409, 429}  # and 5xx

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
        request = request.override(
            system_message=prompted(request.system_message, run.system_prompt),
            messages=answers.worded(request.messages),
        )
        response = self.answer(run, request, handler)
        problem = _problem_of(response)
        if problem is not None and problem.again:
            logger.warning("task %s: the model's answer can't be used, asking once more: %s", run.task.pk, problem.text)
            response = self.answer(run, request, handler)
            problem = _problem_of(response)
            if problem is not None:
                raise ModelFailure(f"{problem.text} It was asked twice.")
        if problem is not None:
            raise ModelFailure(problem.text)
        return response

    def answer(
        self, run: Run, request: ModelRequest[Run], handler: Callable[[ModelRequest[Run]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Return the model's answer, with retries where its end fails, made reliable. Raises RunFailure."""
        run.require_time()
        run.require_unpaused()
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
                response = retrying(handler, request)
            except Exception as error:
                watch.failed(error)
                raise ModelFailure(explain(error)) from error
            watch.answered(response.result)
        offered = {_name_of(tool) for tool in request.tools}
        response.result = [answers.reliable(message, offered) for message in response.result]
        return response


def prompted(given: SystemMessage | None, ours: str) -> SystemMessage | None:
    """Return the system message with our prompt at its end, once. A sub-agent's or another middleware's is kept."""
    if not ours or (given is not None and f"\n\n{ours}\n\n" in f"\n\n{given.text}\n\n"):
        return given
    if given is None or not given.text.strip():
        return SystemMessage(ours)
    if isinstance(given.content, str):
        return given.model_copy(update={"content": f"{given.content}\n\n{ours}"})
    return given.model_copy(update={"content": [*given.content, {"type": "text", "text": f"\n\n{ours}"}]})


def explain(error: Exception) -> str:
    """What happened and whether trying again can help, for the task's `message`."""
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


def _problem_of(response: ModelResponse[Any]) -> answers.Problem | None:
    problem = next(filter(None, map(answers.problem_of, response.result)), None)
    if problem is not None:
        metrics.count(metrics.MODEL_ERRORS, problem.kind)
    return problem


def _name_of(tool: Any) -> str:
    """The name of a tool as the model is offered it: a LangChain tool, or a dict in a provider's form."""
    if not isinstance(tool, dict):
        return str(tool.name)
    return str(tool.get("name") or (tool.get("function") or {}).get("name") or "")
