"""Django's entry points, with requests that no Content-Type and no transfer coding can break."""

import io
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest
from django.utils.http import parse_header_parameters
from typing_extensions import override


class Utf8(HttpRequest):
    """A request's query and forms are in UTF-8, whatever charset its Content-Type names.

    Django would decode the query with any codec that Python has, while it makes the request, where nothing catches what
    `charset=rot13` raises.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            self.content_type, self.content_params = "", {}


class Utf8WSGIRequest(Utf8, WSGIRequest):
    """A request of a WSGI server."""


class Utf8ASGIRequest(Utf8, ASGIRequest):
    """A request of an ASGI server."""


class StrictWSGIHandler(WSGIHandler):
    """Source: django.core.handlers.wsgi."""

    request_class = Utf8WSGIRequest

    @override
    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ.get("HTTP_TRANSFER_ENCODING") and environ.get("wsgi.input_terminated"):
            _measure(environ)
        return super().__call__(environ, start_response)


class StrictASGIHandler(ASGIHandler):
    """Source: django.core.handlers.asgi."""

    request_class = Utf8ASGIRequest


def _measure(environ: dict[str, Any]) -> None:
    """Give a body that comes in chunks its length: Django takes one without for empty."""
    # One byte more than is allowed is enough for Django to refuse it, whoever goes on sending.
    body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
