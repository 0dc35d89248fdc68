"""Middleware that only requests of browsers need. A request with an API key skips it.

A request without a key may come with the session cookie of the admin, also to the API.
"""

from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest

from agentsite.middleware import readers
from core.auth.authentication import KEYWORD


def has_key(request: HttpRequest) -> bool:
    """Return whether the request has an API key and is not for a page of the admin, which takes none."""
    scheme, _, _ = str(request.META.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return scheme.lower() == KEYWORD.lower() and not readers.is_for_people(request)


class _ForBrowsers:
    """Mixin for middleware that requests with an API key skip."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request) if has_key(request) else super().__call__(request)  # type: ignore[misc]


class Sessions(_ForBrowsers, SessionMiddleware):
    """Django's middleware for the session of the admin."""


class Authentication(_ForBrowsers, AuthenticationMiddleware):
    """Django's middleware for the user of the session."""


class Messages(_ForBrowsers, MessageMiddleware):
    """Django's middleware for messages to the user."""
