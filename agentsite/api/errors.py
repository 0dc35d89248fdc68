"""Mapping from exceptions to HTTP responses: JSON `{detail, code, errors?}`, or an HTML page in the admin."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from agentsite.middleware import readers
from core.auth import throttling
from core.closed_lookups import is_sound
from core.db.connections import is_away
from core.errors import AgentsiteError, Conflict, Invalid, NotAllowed, NotFound, RateLimited, TooMany
from core.text import is_storable

logger = logging.getLogger(__name__)

STATUS: dict[type[AgentsiteError], int] = {Invalid: 400, NotAllowed: 403, NotFound: 404, Conflict: 409, TooMany: 429}
NON_FIELD = api_settings.NON_FIELD_ERRORS_KEY
CSRF = "csrf"
PAGES: dict[str, tuple[Any, Any]] = {
    Invalid.code: (_("The request is not valid"), _("Nothing was changed. Go back and try again.")),
    "too_large": (_("The request is too large"), _("Nothing was changed. Go back and send less data at once.")),
    NotAllowed.code: (
        _("You are not allowed to do this"),
        _("Nothing was changed. Ask an administrator for the permission."),
    ),
    CSRF: (
        _("This page is out of date"),
        _("Nothing was changed. You have logged in again since it was loaded. Go back, reload the page and submit it."),
    ),
    NotFound.code: (_("Page not found"), _("The address may be wrong, or the object may have been deleted.")),
    "unavailable": (
        _("The service is not available right now"),
        _("The database is unreachable. Try again in a moment. Your last request may have been carried out."),
    ),
    "server_error": (_("Server error"), _("The error was logged. Try again in a moment.")),
}
UNAVAILABLE = {
    "detail": "The database is unreachable. Try again. Repeating the same request has no additional effect.",
    "code": "unavailable",
}


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the response to an exception, or None to let Django return a 500 (setting EXCEPTION_HANDLER)."""
    set_rollback()
    if isinstance(error, exceptions.Throttled):
        error = RateLimited(retry_after=getattr(error, "wait", None) or 1)
    elif isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        wait = throttling.count_failure(context["request"])
        error = error if wait is None else RateLimited(retry_after=wait)
    if isinstance(error, AgentsiteError):
        status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooMany) else None
        return Response({"detail": error.detail, "code": error.code, **error.extra}, status=status, headers=headers)
    if is_away(error):
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
        body: dict[str, Any] = {"detail": Invalid().detail, "code": Invalid.code, "errors": by_field(error.detail)}
    else:
        body = {"detail": str(error.detail), "code": error.get_codes()}
    return Response(body, status=error.status_code, headers=headers)


def by_field(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Flatten DRF's nested errors to one list of texts per field. A nested field's key is `decisions.0.args`."""
    if isinstance(detail, dict):
        items = [(f"{path}.{name}" if path else str(name), value) for name, value in detail.items()]
    elif any(isinstance(value, dict | list) for value in detail):
        items = [(f"{path}.{index}", value) for index, value in enumerate(detail)]
    else:
        return {path or NON_FIELD: [str(text) for text in detail]} if detail else {}
    return {name: texts for inner, value in items for name, texts in by_field(value, inner).items()}


def _plain(request: HttpRequest, status: int, detail: str, code: str) -> HttpResponse:
    if readers.is_for_people(request):
        return _page(status, *PAGES[code])
    return JsonResponse({"detail": detail, "code": code}, status=status)


def _page(status: int, title: str, text: str) -> HttpResponse:
    # Rendered without the request: finding its user needs the database, which may be the cause of the error.
    site = {"site_header": admin.site.site_header, "site_title": admin.site.site_title}
    return HttpResponse(render_to_string("agentsite/error.html", {**site, "title": title, "text": text}), status=status)


def _unavailable(request: HttpRequest) -> HttpResponse:
    if readers.is_for_people(request):
        response = _page(503, *PAGES[UNAVAILABLE["code"]])
    else:
        response = JsonResponse(UNAVAILABLE, status=503)
    response["Retry-After"] = "5"
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return a 400, or a 413 for a body that is too large (Django's handler400)."""
    if isinstance(exception, RequestDataTooBig):
        return _plain(request, 413, "The body is larger than 1 MiB.", "too_large")
    return _plain(request, 400, "The request is not valid.", Invalid.code)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return a 403 (Django's handler403)."""
    return _plain(request, 403, NotAllowed().detail, NotAllowed.code)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return a 404 (Django's handler404)."""
    return _plain(request, 404, NotFound().detail, NotFound.code)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return a 403 for a form without a valid CSRF token (setting CSRF_FAILURE_VIEW)."""
    if readers.is_for_people(request):
        return _page(403, *PAGES[CSRF])
    return permission_denied(request, PermissionDenied())


def json_errors(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Turn error pages into JSON outside the admin, including Django's DEBUG pages (middleware)."""
    pages = {400: bad_request, 403: permission_denied, 404: not_found}

    def answer(request: HttpRequest) -> HttpResponse:
        try:
            response = get_response(request)
        except SuspiciousOperation as error:  # Django's own error page would read the offending query again
            return bad_request(request, error)
        is_page = not response.streaming and response.get("Content-Type", "").startswith("text/")
        if response.status_code < 400 or not is_page or readers.is_for_people(request):
            return response
        page = pages.get(response.status_code)
        body = page(request, Exception()) if page else server_error(request)
        response.content, response["Content-Type"] = body.content, body["Content-Type"]
        response["Content-Length"] = str(len(response.content))
        return response

    return answer


class AdminAddresses:
    """Middleware that returns a 400, not a 500, for admin URLs with values that the database can't store."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Reject characters that can't be stored in the path and the query string."""
        if readers.is_for_people(request) and not (is_storable(request.path_info) and is_sound(request.GET)):
            return bad_request(request, BadRequest())
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return a 400 for a DataError or OverflowError in the admin, else None.

        Django also calls this for exceptions raised while a template response is rendered.
        """
        if not readers.is_for_people(request) or not isinstance(exception, DataError | OverflowError):
            return None
        logger.warning("a value that the database can't hold: %s", exception, exc_info=exception)
        return bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return a 500, or a 503 when the database is unreachable (Django's handler500).

    The response reveals no internals; they are in the log. Django calls this while it handles the exception.
    """
    error = sys.exc_info()[1]
    if error is not None and is_away(error):
        return _unavailable(request)
    return _plain(request, 500, "A server error occurred. It was logged.", "server_error")
