"""Middleware around every model call: prompt, retries, limits, and an answer that other code can rely on."""

import logging
from functools import partial
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import SystemMessage
from typing_extensions import override

from agents.observability import metrics
from agents.runtime.drafts import listener_for
from agents.runtime.endpoints import listening
from agents.runtime.endpoints.calls import Handler, asked
from agents.runtime.middleware import answers, bounds, context_length
from agents.runtime.run_context import ModelFailure, Run

logger = logging.getLogger(__name__)


class ModelCalls(AgentMiddleware[Any, Run, Any]):
    """Middleware around model calls. One instance per graph; a run's state is in the run's context."""

    @override
    def wrap_model_call(self, request: ModelRequest[Run], handler: Handler) -> ModelResponse[Any]:
        """Return a usable answer of the model. Raises ModelFailure with a message for client developers."""
        run = request.runtime.context
        request = request.override(
            system_message=prompted(request.system_message, run.system_prompt),
            messages=answers.worded(request.messages),
        )
        ask = partial(self.answer, run, handler)
        response = bounds.within(ask, request)
        problem = _problem_of(response)
        if problem is not None and problem.again:
            logger.warning("task %s: the model's answer can't be used, asking once more: %s", run.task.pk, problem.text)
            response = bounds.within(ask, request)
            problem = _problem_of(response)
            if problem is not None:
                raise ModelFailure(f"{problem.text} It was asked twice.")
        if problem is not None:
            raise ModelFailure(problem.text)
        bounds.require_new(run, request.state["messages"], response.result)
        return response

    def answer(self, run: Run, handler: Handler, request: ModelRequest[Run]) -> ModelResponse[Any]:
        """Return the model's answer, made reliable, with retries if the endpoint fails. Raises RunFailure."""
        run.require_time()
        listener = run.listener or listener_for(run.task)  # before the connection to the database is let go
        run.require_unpaused()
        with listening.to(listener) as hearing:
            response = asked(run, context_length.within_budget(request), handler)
        offered = {_name_of(tool) for tool in request.tools}
        response.result = [answers.reliable(message, offered, hearing) for message in response.result]
        return response


def prompted(given: SystemMessage | None, ours: str) -> SystemMessage | None:
    """Return the system message with our prompt at its end, once. Text of a sub-agent or other middleware is kept."""
    if not ours or (given is not None and f"\n\n{ours}\n\n" in f"\n\n{given.text}\n\n"):
        return given
    if given is None or not given.text.strip():
        return SystemMessage(ours)
    if isinstance(given.content, str):
        return given.model_copy(update={"content": f"{given.content}\n\n{ours}"})
    return given.model_copy(update={"content": [*given.content, {"type": "text", "text": f"\n\n{ours}"}]})


def _problem_of(response: ModelResponse[Any]) -> answers.Problem | None:
    problem = next(filter(None, map(answers.problem_of, response.result)), None)
    if problem is not None:
        metrics.count(metrics.MODEL_ERRORS, problem.kind)
    return problem


def _name_of(tool: Any) -> str:
    """Return the name under which the model is offered a LangChain tool, or a tool as a dict in a provider's form."""
    if not isinstance(tool, dict):
        return str(tool.name)
    return str(tool.get("name") or (tool.get("function") or {}).get("name") or "")
