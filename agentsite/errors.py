"""One map from exceptions to HTTP answers: always `{detail, code, errors?}`."""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from agentsite.core import throttles
from agentsite.core.errors import AgentsiteError, Conflict, Invalid, NotAllowed, NotFound, RateLimited, TooMany

logger = logging.getLogger(__name__)

STATUS: dict[type[AgentsiteError], int] = {Invalid: 400, NotAllowed: 403, NotFound: 404, Conflict: 409, TooMany: 429}
UNAVAILABLE = {"detail": "The database is not reachable. Nothing was changed; try again.", "code": "unavailable"}


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook (setting EXCEPTION_HANDLER): the answer to an exception; None lets Django make a 500 of it."""
    set_rollback()
    if isinstance(error, exceptions.Throttled):
        error = RateLimited(retry_after=getattr(error, "wait", None) or 1)
    elif isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        wait = throttles.count_failure(context["request"])
        error = error if wait is None else RateLimited(retry_after=wait)
    if isinstance(error, AgentsiteError):
        status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooMany) else None
        return Response({"detail": error.detail, "code": error.code, **error.extra}, status=status, headers=headers)
    if isinstance(error, OperationalError | InterfaceError):
        logger.error("database away: %s", error)
        return Response(UNAVAILABLE, status=503, headers={"Retry-After": "5"})
    if isinstance(error, RequestDataTooBig):
        return Response({"detail": "The body is larger than 1 MiB.", "code": "too_large"}, status=413)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _from_drf(error)
    return None


def _from_drf(error: exceptions.APIException) -> Response:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if isinstance(error, exceptions.ValidationError):
        body: dict[str, Any] = {"detail": Invalid().detail, "code": Invalid.code, "errors": error.detail}
    else:
        body = {"detail": str(error.detail), "code": error.get_codes()}
    return Response(body, status=error.status_code, headers=headers)


def _plain(status: int, detail: str, code: str) -> JsonResponse:
    return JsonResponse({"detail": detail, "code": code}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Django's handler400: what is refused before a view is found."""
    if isinstance(exception, RequestDataTooBig):
        return _plain(413, "The body is larger than 1 MiB.", "too_large")
    return _plain(400, "The request is not valid.", Invalid.code)


def permission_denied(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Django's handler403."""
    return _plain(403, NotAllowed().detail, NotAllowed.code)


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Django's handler404."""
    return _plain(404, NotFound().detail, NotFound.code)


def server_error(request: HttpRequest) -> JsonResponse:
    """Django's handler500: says nothing of the inside; the log does."""
    return _plain(500, "An error on our side. It has been logged.", "server_error")
