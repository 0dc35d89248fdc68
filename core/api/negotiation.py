"""Which parser reads a request and which renderer writes its answer."""

from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class StrictContentNegotiation(DefaultContentNegotiation):
    """DRF's own; headers that can't be read match nothing (a parameter `x*=nope''y` raises a ValueError in Django)."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Source: rest_framework. None is a 415."""
        try:
            return super().select_parser(request, parsers)
        except ValueError:
            return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """Source: rest_framework. Raises NotAcceptable."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except ValueError as error:
            raise NotAcceptable from error
