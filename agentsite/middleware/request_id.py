"""An id for every HTTP request, added to its response, its log lines and the tasks that it submits."""

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path
from django.utils.functional import SimpleLazyObject
from structlog.contextvars import bound_contextvars
from typing_extensions import override

logger = logging.getLogger("agentsite.requests")

HEADER = "X-Request-ID"
SANE = re.compile(r"[A-Za-z0-9._-]{1,128}")
PROBES = frozenset({"/health", "/health/ready"})  # requested every few seconds, so neither logged nor traced

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Middleware that gives every response an id and logs one line per request. Only tracing is outside it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        given = request.headers.get(HEADER, "")
        request_id = given if SANE.fullmatch(given) else uuid.uuid4().hex
        with bound_contextvars(request_id=request_id, principal=Caller(request)):
            response = self.get_response(request)
            if request.path not in PROBES:
                _log(request, response, (time.perf_counter() - started) * 1000)
        response[HEADER] = request_id
        return response


class Caller:
    """The request's principal, as far as known when a log line is written. It is never looked up, to save a query."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @override
    def __str__(self) -> str:
        user = vars(self.request).get("user")
        if isinstance(user, SimpleLazyObject):  # Django's session user, which caches the row once it is loaded
            user = vars(self.request).get("_cached_user")
        return user.get_username() if user is not None else ""


def _log(request: HttpRequest, response: HttpResponse, milliseconds: float) -> None:
    # Escaped because a path can contain a line break; without the query string, which can contain search terms.
    path = escape_uri_path(request.path)
    logger.info(
        "%s %s %d in %.0f ms by %s",
        *(request.method, path, response.status_code, milliseconds, str(Caller(request)) or "-"),
        extra={
            "method": request.method,
            "path": path,
            "status": response.status_code,
            "milliseconds": round(milliseconds, 1),
        },
    )
