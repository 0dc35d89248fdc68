"""Django's request handlers, made robust against any Content-Type and transfer coding."""

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
    """Request whose query and forms are decoded as UTF-8, regardless of the charset in its Content-Type.

    Django would decode the query with any Python codec while it creates the request, where nothing catches the
    exception that `charset=rot13` raises.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            self.content_type, self.content_params = "", {}


class Utf8WSGIRequest(Utf8, WSGIRequest):
    """Request from a WSGI server."""


class Utf8ASGIRequest(Utf8, ASGIRequest):
    """Request from an ASGI server."""


class StrictWSGIHandler(WSGIHandler):
    """WSGI handler that uses UTF-8 requests and measures chunked bodies. Source: django.core.handlers.wsgi."""

    request_class = Utf8WSGIRequest

    @override
    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ.get("HTTP_TRANSFER_ENCODING") and environ.get("wsgi.input_terminated"):
            _measure(environ)
        return super().__call__(environ, start_response)


class StrictASGIHandler(ASGIHandler):
    """ASGI handler that uses UTF-8 requests. Source: django.core.handlers.asgi."""

    request_class = Utf8ASGIRequest


def _measure(environ: dict[str, Any]) -> None:
    """Set the length of a chunked body, because Django treats a body without a length as empty."""
    # Reading one byte more than the limit is enough for Django to refuse the body, however long it is.
    body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
