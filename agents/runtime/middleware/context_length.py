"""Requests that fit a model's context: kept within the budget, and retried once with less if still too long.

Endpoints report in many ways that a request is too long. The patterns below match the wordings of OpenAI, Azure,
Anthropic, Google, Mistral, Groq, xAI, Bedrock, Cohere, vLLM, llama.cpp, Ollama, LM Studio, TGI and LiteLLM.
"""

import logging
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AnyMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from agents.runtime.history import fitting
from agents.runtime.run_context import Run
from core import tokens

logger = logging.getLogger(__name__)

Handler = Callable[[ModelRequest[Run]], ModelResponse[Any]]

EXPLANATION = (
    "The conversation is longer than the model's context, even after it was shortened. Trying again won't help: start "
    "a new session, ask for less at once, or ask the operator to lower CONVERSATION_TOKENS and TASK_TOKENS."
)
NEVER = {401, 403, 404}  # statuses of errors that are never about length
ALWAYS = {413}  # content too large
READ = 5_000  # characters of an error that are read

_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size|limit)"
    r"|max(imum)? (prompt|model|sequence) length"
    r"|(prompt|input|inputs|request|messages?|conversation)( \S+)? (is|are|was|were)? ?too (long|large)"
    r"|request[ _]too[ _]large|string[ _](too[ _]long|above_max_length)|too many (input |prompt |total )?tokens"
    r"|(input|prompt) tokens? (count|length)?.{0,40}exceed"
    r"|exceeds? the max(imum)?( allowed)?( number of)?( input)? tokens"
    r"|`?inputs`? (tokens|must have less than)"
    r"|reduce (the )?(length|size) of",
    re.IGNORECASE | re.DOTALL,
)
_LIMIT = re.compile(
    r"(?:n_ctx\W{1,4}|> ?|<= ?|(?:length|window|size|limit|maximum|allowed|less than|exceed)[^\d\n]{0,40}?)(\d[\d,]*\d)"
    r"|(\d[\d,]*\d) (?:maximum|max)\b",
    re.IGNORECASE,
)
DIGITS = 18  # of a number that are read: an error may repeat the request, and Python reads no more than 4,300
SMALLEST_LIMIT = 256  # tokens; a smaller number in an error means something else
QUARTER = 0.25  # share of the messages to retry with if the error names no limit: there is only one retry
HALF = 0.5  # largest share of them to retry with if the error names a limit
ROOM_FOR_ANSWER = 0.75  # share of the context to fill: the answer needs the rest, and our count is an estimate


def is_too_long(error: BaseException | None) -> bool:
    """Return whether the endpoint rejected the request because it is longer than the model's context."""
    if error is None or isinstance(error, ContextOverflowError):
        return error is not None
    status = getattr(error, "status_code", None)
    return status in ALWAYS or (status not in NEVER and bool(_TOO_LONG.search(_words(error))))


def within_budget(request: ModelRequest[Run]) -> ModelRequest[Run]:
    """Return the request with messages that fit the budgets, and the run's `room` after an endpoint rejected more."""
    messages = fitting.capped(request.messages, settings.CONVERSATION_TOKENS)
    budget = settings.CONVERSATION_TOKENS + settings.TASK_TOKENS
    if (room := request.runtime.context.room) is not None:
        budget = min(budget, room)
    return _of(request, fitting.fitted(messages, budget))


def or_with_less(handler: Handler, note: Callable[[BaseException], None]) -> Handler:
    """Return the handler with one retry with less, for a request that the endpoint rejects as too long.

    Args:
        note: called with the error before the retry.
    """

    def call(request: ModelRequest[Run]) -> ModelResponse[Any]:
        try:
            return handler(request)
        except Exception as error:
            if not is_too_long(error):
                raise
            run = request.runtime.context
            run.room = _room(request, error)  # also for the run's next requests
            logger.warning("task %s: the request was too long, asking again with %d tokens", run.task.pk, run.room)
            note(error)
        return handler(within_budget(request))

    return call


def _room(request: ModelRequest[Run], error: BaseException) -> int:
    """Return how many tokens, by our count, the messages may have in the next request."""
    messages = sum(map(fitting.tokens_of, request.messages))
    besides = _besides(request)
    limit, asked = _limits(error)
    if limit is None:
        return int(messages * QUARTER)
    ours = (messages + besides) / asked if asked else 1.0  # our tokens per token of the endpoint
    return max(min(int(limit * ROOM_FOR_ANSWER * min(ours, 1.0)) - besides, int(messages * HALF)), 1)


def _limits(error: BaseException) -> tuple[int | None, int | None]:
    """Return the model's limit and the request's length in tokens, each None if the error does not name it."""
    words = _words(error)
    named = [_number(match[1] or match[2]) for match in _LIMIT.finditer(words)]
    limit = min((one for one in named if one >= SMALLEST_LIMIT), default=None)
    larger = [one for one in map(_number, re.findall(r"\d[\d,]*\d", words)) if limit is not None and one > limit]
    return limit, max(larger, default=None)


def _besides(request: ModelRequest[Run]) -> int:
    """Return the tokens of the system prompt and of the tools' schemas, which can't be shortened."""
    system = tokens.count(str(request.system_message.content)) if request.system_message else 0
    return system + sum(tokens.count(str(convert_to_openai_tool(tool))) for tool in request.tools)


def _of(request: ModelRequest[Run], messages: list[AnyMessage]) -> ModelRequest[Run]:
    return request if messages == request.messages else request.override(messages=messages)


def _words(error: BaseException) -> str:
    return f"{error} {getattr(error, 'body', '') or ''}"[:READ]


def _number(text: str) -> int:
    return int(text.replace(",", "")[:DIGITS])
