"""Authentication as the Django user who holds the key of `Authorization: Bearer <key>` or is logged in to the admin."""

import hashlib
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from typing_extensions import override

from core.auth import second_factor, throttling
from core.db.process_cache import process
from core.models import ApiKey

KEYWORD = "Bearer"


class ApiKeyAuthentication(BaseAuthentication):
    """Authentication by a valid API key of an active user."""

    @override
    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, ApiKey] | None:
        """Return the user and the key, or None without a Bearer header, so that the session cookie is tried next.

        Raises:
            AuthenticationFailed: the key is unknown, revoked or expired, or its user is not active.
            Throttled: this address has sent too many wrong secrets for this key.
        """
        scheme, _, credential = get_authorization_header(request).partition(b" ")
        if scheme.lower() != KEYWORD.lower().encode():
            return None
        name = f"credential:{hashlib.sha256(credential).hexdigest()}"
        key: ApiKey | None = process.get(name)
        if key is None:
            throttling.require_unguessed(request)
            key = _checked(credential)
            process.set(name, key, settings.STALENESS_SECONDS)
        if key.has_expired:
            raise AuthenticationFailed
        return key.user, key

    @override
    def authenticate_header(self, request: Request) -> str:
        """Return the scheme, which makes a missing credential a 401 instead of a 403."""
        return KEYWORD


def _checked(credential: bytes) -> ApiKey:
    """Return the valid key with its active user, and the user with their permissions. Raises AuthenticationFailed."""
    try:
        text = credential.strip().decode("ascii")
        if not text.isprintable():  # PostgreSQL refuses a NUL in a query
            raise AuthenticationFailed
        key = cast(ApiKey, ApiKey.objects.get_from_key(text))
    except (ApiKey.DoesNotExist, UnicodeDecodeError, ValueError) as error:
        raise AuthenticationFailed from error
    if key.has_expired or not key.user.is_active:
        raise AuthenticationFailed
    key.user.get_all_permissions()  # which the user remembers
    return key


class AdminSessionAuthentication(SessionAuthentication):
    """Authentication by the admin's session, with CSRF protection."""

    @override
    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the session's user and None, or None if no active user is logged in.

        Raises:
            AuthenticationFailed: a second factor is required, and this session has not passed it.
        """
        found = super().authenticate(request)
        if found and second_factor.is_missing(found[0]):
            raise AuthenticationFailed("Log in to the admin with your second factor.", "second_factor_required")
        return found
