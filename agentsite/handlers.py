"""Django's entry points, with requests that no Content-Type can break."""

from typing import Any

from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest
from django.utils.http import parse_header_parameters


class Utf8(HttpRequest):
    """A request's query and forms are in UTF-8, whatever charset its Content-Type names.

    Django would decode the query with any codec that Python has, while it makes the request, where nothing catches what
    `charset=rot13` raises.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        """Source: django.http.HttpRequest."""
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


class StrictASGIHandler(ASGIHandler):
    """Source: django.core.handlers.asgi."""

    request_class = Utf8ASGIRequest
