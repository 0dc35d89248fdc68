"""Requests that a model's context has room for: kept within the budget, and asked once more with less where it is not.

Endpoints say in many ways that a request is too long. The wordings below are those of OpenAI, Azure, Anthropic, Google,
Mistral, Groq, xAI, Bedrock, Cohere, vLLM, llama.cpp, Ollama, LM Studio, TGI and LiteLLM.
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
    "The conversation is longer than the model's context, also after it was shortened. Trying again won't help: start "
    "a new session, ask for less at once, or have the operator lower CONVERSATION_TOKENS and TASK_TOKENS."
)
NEVER = {401, 403, 404}  # statuses under which no wording is about the length
ALWAYS = {413}  # content too large
READ = 5_000  # characters of an error that are looked at

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
SMALLEST_LIMIT = 256  # tokens; a smaller number in an error is something else
QUARTER = 0.25  # of the request is tried where the error does not say how long it may be: there is one try only
HALF = 0.5  # of it at most is tried where the error says that
ROOM_FOR_ANSWER = 0.75  # of the context is filled; the answer needs the rest, and our count is an estimate


def is_too_long(error: BaseException | None) -> bool:
    """Whether the endpoint refused the request because it is longer than the model's context."""
    if error is None or isinstance(error, ContextOverflowError):
        return error is not None
    status = getattr(error, "status_code", None)
    return status in ALWAYS or (status not in NEVER and bool(_TOO_LONG.search(_words(error))))


def within_budget(request: ModelRequest[Run]) -> ModelRequest[Run]:
    """The request with messages that fit the budgets, or what an endpoint has said that its model takes."""
    messages = fitting.capped(request.messages, settings.CONVERSATION_TOKENS)
    budget = settings.CONVERSATION_TOKENS + settings.TASK_TOKENS
    if (room := request.runtime.context.room) is not None:
        budget = min(budget, room)
    return _of(request, fitting.fitted(messages, budget))


def or_with_less(handler: Handler, note: Callable[[BaseException], None]) -> Handler:
    """The handler, with one more try with less where the endpoint says that the request is too long.

    Args:
        note: is told of the error before that try.
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
    """How many tokens, by our count, the messages may have in the next request."""
    messages = sum(map(fitting.tokens_of, request.messages))
    besides = _besides(request)
    limit, asked = _limits(error)
    if limit is None:
        return int(messages * QUARTER)
    ours = (messages + besides) / asked if asked else 1.0  # how many we count where the endpoint counts one
    return max(min(int(limit * ROOM_FOR_ANSWER * min(ours, 1.0)) - besides, int(messages * HALF)), 1)


def _limits(error: BaseException) -> tuple[int | None, int | None]:
    """How many tokens the model takes, and how many the request had, as far as the error says it."""
    words = _words(error)
    named = [_number(match[1] or match[2]) for match in _LIMIT.finditer(words)]
    limit = min((one for one in named if one >= SMALLEST_LIMIT), default=None)
    larger = [one for one in map(_number, re.findall(r"\d[\d,]*\d", words)) if limit is not None and one > limit]
    return limit, max(larger, default=None)


def _besides(request: ModelRequest[Run]) -> int:
    """The tokens of the system prompt and of the tools' schemas, which can't be shortened."""
    system = tokens.count(str(request.system_message.content)) if request.system_message else 0
    return system + sum(tokens.count(str(convert_to_openai_tool(tool))) for tool in request.tools)


def _of(request: ModelRequest[Run], messages: list[AnyMessage]) -> ModelRequest[Run]:
    return request if messages == request.messages else request.override(messages=messages)


def _words(error: BaseException) -> str:
    return f"{error} {getattr(error, 'body', '') or ''}"[:READ]


def _number(text: str) -> int:
    return int(text.replace(",", ""))
