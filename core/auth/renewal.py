"""Authentication of a request again, while its response lasts."""

import copy
from typing import Any, cast

from django.contrib.auth import get_user
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from core.auth import second_factor
from core.auth.authentication import ApiKeyAuthentication
from core.auth.principals import Principal
from core.auth.stream_tokens import StreamToken, holder_of
from core.models import ApiKey


def credential_of(request: Request) -> str:
    """Return what identifies the request's credential in this process."""
    if isinstance(request.auth, StreamToken):
        return repr(request.auth)
    if isinstance(request.auth, ApiKey):
        return f"key {request.auth.pk}"
    return f"session {request._request.session.session_key}"


def principal_now(request: Request) -> Principal | None:
    """Return who holds the request's credential now, or None if it has been revoked or has expired meanwhile.

    An API key may be that of up to STALENESS_SECONDS ago.
    """
    if isinstance(request.auth, StreamToken):
        try:
            return cast(Principal, holder_of(request.auth))
        except APIException:
            return None
    if isinstance(request.successful_authenticator, ApiKeyAuthentication):
        try:
            found = request.successful_authenticator.authenticate(request)
        except APIException:
            return None
        user: Any = found[0] if found else None
        return user
    fresh = copy.copy(request._request)
    fresh.session = type(request._request.session)(request._request.session.session_key)
    user = get_user(fresh)
    user.otp_device = getattr(request.user, "otp_device", None)  # the session has passed it
    return None if not user.is_active or second_factor.is_missing(user) else user
