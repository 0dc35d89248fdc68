"""Which parser reads a request and which renderer writes its answer."""

from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from typing_extensions import override


class StrictContentNegotiation(DefaultContentNegotiation):
    """DRF's own; headers that can't be read match nothing (a parameter `x*=nope''y` raises a ValueError in Django)."""

    @override
    def select_parser(self, request: Request, parsers: Any) -> Any:
        """None is a 415."""
        try:
            return super().select_parser(request, parsers)
        except ValueError:
            return None

    @override
    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """Raises NotAcceptable."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except ValueError as error:
            raise NotAcceptable from error
