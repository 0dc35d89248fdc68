"""Model calls: requests to an endpoint, each with a deadline, repeated after a transient failure."""

import logging
import random
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings
from langchain.agents.middleware import ModelRequest, ModelResponse
from langgraph.errors import GraphBubbleUp
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_any, stop_before_delay, stop_when_event_set
from tenacity.nap import sleep_using_event

from agents.runtime.endpoints import errors, http_clients, metering
from agents.runtime.gate.execution import outer_call
from agents.runtime.middleware import context_length
from agents.runtime.middleware.model_telemetry import Watch, watched
from agents.runtime.run_context import ModelFailure, Run, RunFailure, held
from agents.state.tasks import StaleAttempt
from core.db.connections import is_away

logger = logging.getLogger(__name__)

FIRST_WAIT = 1.0  # seconds; also if the endpoint asks for less, so that it is not asked thousands of times

Handler = Callable[[ModelRequest[Run]], ModelResponse[Any]]


class RequestFailed(Exception):
    """One request to the endpoint failed."""

    def __init__(self, failure: errors.Failure) -> None:
        super().__init__(failure.explanation)
        self.failure = failure


def asked(run: Run, request: ModelRequest[Run], handler: Handler) -> ModelResponse[Any]:
    """Ask the model, retrying transient failures for MODEL_RETRY_SECONDS; return its answer.

    Raises ModelFailure; GraphInterrupt if the run has stopped meanwhile, so that its next attempt asks again.
    """
    http_clients.prepare(request.model)
    with watched(request.model) as watch, metering.asking(watch.model):
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, RequestFailed) and error.failure.passing),
            wait=_wait,
            stop=stop_any(stop_before_delay(settings.MODEL_RETRY_SECONDS), stop_when_event_set(run.stop)),
            sleep=sleep_using_event(run.stop),
            before_sleep=_note_retry(run, watch),
            reraise=True,
        )
        try:
            response = retrying(_once, request, context_length.or_with_less(handler, _note_less(watch)))
        except RequestFailed as error:
            if (stop := _stop_of(run)) is not None and stop.is_set():
                logger.info("task %s: the run stops, its model call is broken off", run.task.pk)
                raise held() from error
            watch.failed(error.failure.kind)
            cause = error.__cause__ if error.failure.kind == "no_completion" else None
            logger.error("task %s: model call failed: %s", run.task.pk, error, exc_info=cause)
            raise ModelFailure(error.failure.explanation) from error
        watch.answered(response.result)
    return response


def _once(request: ModelRequest[Run], handler: Handler) -> ModelResponse[Any]:
    """Send one request with a deadline. Raises RequestFailed; errors that are not the endpoint's pass through."""
    with http_clients.exchange(settings.MODEL_TIMEOUT_SECONDS, _stop_of(request.runtime.context)) as exchange:
        try:
            return handler(request)
        except (RunFailure, StaleAttempt, GraphBubbleUp):
            raise
        except Exception as error:
            request.runtime.context.require_going()  # the client wraps whatever ended the run
            if is_away(error):
                raise
            raise RequestFailed(errors.read(error, exchange.response)) from error


def _stop_of(run: Run) -> threading.Event | None:
    """Return what breaks off this call; None inside a tool: a tool that has begun ends, as it must not run twice."""
    return run.stop if outer_call() is None else None


def _wait(state: RetryCallState) -> float:
    """Return the seconds that the endpoint asks for, else FIRST_WAIT doubled per attempt, plus up to 50 % jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RequestFailed) and error.failure.wait:
        return max(error.failure.wait, FIRST_WAIT)
    return FIRST_WAIT * 2.0 ** (state.attempt_number - 1) * random.uniform(1, 1.5)


def _note_less(watch: Watch) -> Callable[[BaseException], None]:
    return lambda error: watch.retried(errors.read(error).kind)


def _note_retry(run: Run, watch: Watch) -> Callable[[RetryCallState], None]:
    def note(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RequestFailed):
            watch.retried(error.failure.kind)
            logger.warning("task %s: model call failed, asking again: %s", run.task.pk, error)

    return note
