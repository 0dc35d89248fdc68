"""Choice of the parser of a request and the renderer of its response."""

from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from typing_extensions import override


class StrictContentNegotiation(DefaultContentNegotiation):
    """DRF's negotiation, except that a malformed header matches nothing.

    In Django, the parameter `x*=nope''y` raises a ValueError.
    """

    @override
    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the parser, or None for a 415."""
        try:
            return super().select_parser(request, parsers)
        except ValueError:
            return None

    @override
    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """Return the renderer and its media type. Raises NotAcceptable."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except ValueError as error:
            raise NotAcceptable from error
