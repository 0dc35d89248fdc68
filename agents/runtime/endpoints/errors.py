"""Classification of failed requests to a model's endpoint, for the clients of all providers.

Providers' packages are not imported: an error is recognized by what it carries (a status, a response, a body), by
LangChain's own classes, and by the names of its classes, which the clients of all providers have in common.
"""

import json
import math
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.utils.html import strip_tags
from django.utils.http import parse_http_date_safe
from langchain_core.exceptions import ModelConnectionError, ModelError, ModelTimeoutError

from agents.runtime.middleware import context_length
from core.text import shortened, storable

RETRIED = {408, 409, 425, 429}  # and 5xx
WORDS = 300  # characters of the endpoint's message
PAGE = 20_000  # characters of a page that are searched for a message
CODE = re.compile(r"<(script|style)\b.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
EVENT = re.compile(r"^data: *(\{.*)$", re.MULTILINE)
KEY = re.compile(r"\bsk-[\w-]{12,}")
MAX_CAUSES = 8
MAX_DEPTH = 4  # of objects that are searched for a message

# Error codes in a body, also in that of an HTTP 200, and the HTTP status that each is equivalent to.
CODES = (
    (re.compile(r"insufficient_quota|quota_exceeded|billing|payment_required|credit"), 402),
    (re.compile(r"rate_?limit|too_?many_?requests|throttl|resource_?exhausted"), 429),
    (re.compile(r"overloaded|capacity"), 529),
    (re.compile(r"time_?out|deadline_?exceeded"), 504),
    (re.compile(r"unavailable|try_?again"), 503),
    (re.compile(r"^(api_error|server_error|internal(_server)?_?error|internal)$"), 500),
    (re.compile(r"authentication|invalid_api_key|unauthorized|unauthenticated"), 401),
    (re.compile(r"permission|forbidden"), 403),
    (re.compile(r"not_?found"), 404),
    (re.compile(r"invalid|bad_?request|context_length"), 400),
)
CODE_KEYS = ("code", "status_code", "http_status", "error_code", "status", "type")
WORD_KEYS = ("message", "msg", "detail", "error_message", "error_description", "error", "errors", "reason", "title")

EXPLANATIONS = {
    400: "The model endpoint refused the request. Trying again won't help until the request or the model changes.",
    401: "The model endpoint refused the API key. Trying again won't help until the operator corrects it "
    "(OPENAI_API_KEY, where AGENT_MODEL begins with openai:).",
    402: "The quota at the model endpoint is used up. Trying again won't help until the operator raises it.",
    403: "The model endpoint denied access. Trying again won't help until the operator corrects the key or its rights.",
    404: "The model endpoint doesn't have this model. Trying again won't help until the operator corrects AGENT_MODEL.",
    429: "The model endpoint kept reporting that its rate limit or quota is exceeded. Try again later.",
}


@dataclass(frozen=True)
class Failure:
    """A failed request."""

    kind: str  # for metrics: timeout, connection, http_<status>, no_completion
    passing: bool  # the same request may succeed a little later
    explanation: str  # what happened and whether trying again can help, for the task's message
    wait: float = 0.0  # seconds that the endpoint asks to wait; 0: it asks for none


def read(error: BaseException, response: Any = None) -> Failure:
    """Classify the error.

    Args:
        response: the newest HTTP response of that request, if there was one.
    """
    chain = list(_chain(error))
    response = response if response is not None else _attribute(chain, "response")
    body = _body(chain, response)
    status = _status(chain, response, body)
    told = f" It said: {words}" if (words := _words_of(body, chain)) else ""
    if context_length.is_too_long(error):
        return Failure(f"http_{status or 400}", False, f"{context_length.EXPLANATION}{told}")
    if status is not None:
        wait = _retry_after(response)
        asked = f" It asks to wait {wait:g} s." if wait else ""
        return Failure(f"http_{status}", _is_passing(status, response), f"{_explained(status)}{told}{asked}", wait)
    if _is(chain, "Timeout", TimeoutError, ModelTimeoutError):
        limit = f"{settings.MODEL_TIMEOUT_SECONDS:g} s"
        text = f"The model did not answer within {limit}, even after retries. Try again later."
        return Failure("timeout", True, text)
    if response is not None and _broke_off(chain, body):
        text = "The answer of the model endpoint broke off before its end, even after retries. Try again later."
        return Failure("connection", True, f"{text}{told}")
    if _is(chain, "ConnectionError|TransportError|NetworkError|ProtocolError", ConnectionError, ModelConnectionError):
        text = "The model endpoint can't be reached. Try again later, or ask the operator to check OPENAI_BASE_URL."
        return Failure("connection", True, f"{text} ({type(chain[-1]).__name__})")
    return Failure("no_completion", False, f"{_unknown(error, response, body)}{told}")


def is_endpoints(error: BaseException) -> bool:
    """Return whether the error comes from a model's endpoint. For graphs without our middleware."""
    chain = list(_chain(error))
    is_refusal = _is(chain, "APIStatusError|ResponseError") and isinstance(_attribute(chain, "status_code"), int)
    return is_refusal or isinstance(error, ModelError)


def _chain(error: BaseException) -> Iterable[BaseException]:
    """Yield the error and its causes, outermost first, at most MAX_CAUSES in all."""
    current: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if current is None:
            return
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _is(chain: list[BaseException], names: str, *kinds: type[BaseException]) -> bool:
    """Return whether one of these errors has a class whose name matches, or is of one of these classes."""
    pattern = re.compile(names)
    return any(
        isinstance(error, kinds) or any(pattern.search(kind.__name__) for kind in type(error).__mro__)
        for error in chain
    )


def _attribute(chain: list[BaseException], name: str) -> Any:
    return next((found for error in chain if (found := getattr(error, name, None)) is not None), None)


def _status(chain: list[BaseException], response: Any, body: Any) -> int | None:
    """Return the HTTP status of the failure, or None if there is none.

    A code in the body replaces a missing status (the response's own may be 200) and a 400, 403 or 429. A code for a
    transient failure replaces any status.
    """
    given = [getattr(error, name, None) for error in chain for name in ("status_code", "code")]
    given.append(getattr(response, "status_code", None))
    status = next((one for one in given if isinstance(one, int) and 400 <= one <= 599), None)
    coded = _coded(body)
    if coded is not None and (status is None or status in (400, 403, 429) or coded in RETRIED or coded >= 500):
        return coded
    return status


def _coded(body: Any) -> int | None:
    """Return the HTTP status that a code in the body is equivalent to, or None."""
    if not isinstance(body, dict):
        return None
    inner = body.get("error")
    for place in (inner, body) if isinstance(inner, dict) else (body,):
        for key in CODE_KEYS:
            found = _as_status(place.get(key))
            if found is not None:
                return found
    return None


def _as_status(code: Any) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool):
        return code if 400 <= code <= 599 else None
    if not isinstance(code, str):
        return None
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code).lower().replace("-", "_").replace(" ", "_")
    return next((status for pattern, status in CODES if pattern.search(name)), None)


def _is_passing(status: int, response: Any) -> bool:
    said = _header(response, "x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return status in RETRIED or status >= 500


def _explained(status: int) -> str:
    if status in EXPLANATIONS:
        return EXPLANATIONS[status]
    if status in RETRIED or status >= 500:
        return f"The model endpoint kept failing with HTTP {status}. Try again later."
    return (
        f"The model endpoint refused the request with HTTP {status}. Trying again won't help until the request, the "
        "model or the endpoint's settings change."
    )


def _unknown(error: BaseException, response: Any, body: Any) -> str:
    """Explain a failure that fits no other category, with or without a response."""
    name = type(error).__name__
    if "ResponseError" in name or (isinstance(body, dict) and any(body.get(key) for key in WORD_KEYS)):
        return "The model endpoint returned an error instead of a completion. Trying again may help."
    if response is None:
        return f"The request to the model failed in the client ({name}). For details, see the worker's log."
    return (
        "The model endpoint returned something that is not a chat completion. Trying again may help. If the error "
        f"persists, ask the operator to check OPENAI_BASE_URL and AGENT_MODEL. ({name})"
    )


def _retry_after(response: Any) -> float:
    """Return the seconds that the endpoint asks to wait, given in milliseconds, seconds or as a date; 0 if none."""
    milliseconds = _number(_header(response, "retry-after-ms"))
    if milliseconds:
        return milliseconds / 1000
    text = _header(response, "retry-after")
    seconds = _number(text)
    if seconds is None and text:
        date = parse_http_date_safe(text)
        seconds = max(date - time.time(), 0.0) if date is not None else None
    return round(seconds or 0.0, 3)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _header(response: Any, name: str) -> str:
    try:
        return str(response.headers.get(name) or "").strip()
    except AttributeError:
        return ""


def _body(chain: list[BaseException], response: Any) -> Any:
    """Return the body of the endpoint's answer: a JSON value if it is JSON, else text; None if it is unknown."""
    text = None
    try:
        text = response.text
    except Exception:  # no response, or its body was never read or broke off
        text = next((error.doc for error in chain if isinstance(error, json.JSONDecodeError)), None)
    if text is None:
        return _attribute(chain, "body")
    events = EVENT.findall(text)  # some endpoints stream without being asked to
    try:
        return json.loads(events[-1] if events else text)
    except (ValueError, RecursionError):
        return str(text)


def _broke_off(chain: list[BaseException], body: Any) -> bool:
    """Return whether the connection ended during the answer, or the answer is empty or incomplete JSON."""
    if _is(chain, "RemoteProtocolError|ReadError|IncompleteRead|ChunkedEncodingError|DecodingError"):
        return True
    return isinstance(body, str) and (not body.strip() or body.lstrip()[:1] in ("{", "["))


def _words_of(body: Any, chain: list[BaseException]) -> str:
    """Return the endpoint's own message on one line, shortened, storable and without API keys."""
    try:
        words = _words(body) if body is not None else str(chain[0])
    except RecursionError:
        words = str(chain[0])
    text = " ".join(str(storable(_plain(words))).split())
    if len(settings.OPENAI_API_KEY) >= 8:
        text = text.replace(settings.OPENAI_API_KEY, "***")
    return shortened(KEY.sub("***", text), WORDS)


def _plain(text: str) -> str:
    """Return the text of an HTML page; any other text as it is, up to PAGE characters."""
    text = text[:PAGE]
    try:
        return strip_tags(CODE.sub(" ", text)) if "<" in text else text
    except SuspiciousOperation:  # more open tags than any page has
        return text


def _words(value: Any, depth: int = 0) -> str:
    """Return the part of the answer that a person would read."""
    if isinstance(value, str) or depth > MAX_DEPTH:
        return str(value)[:PAGE]
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(one, depth + 1) for one in value[:5])))
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    place = ".".join(map(str, value["loc"])) + ": " if isinstance(value.get("loc"), list) else ""
    for key in WORD_KEYS:
        if value.get(key) and (found := _words(value[key], depth + 1)):
            return place + found
    return json.dumps(value, ensure_ascii=False, default=str)
