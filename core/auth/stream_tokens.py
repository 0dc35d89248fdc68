"""Short-lived tokens in the address of a stream, for `EventSource` of another origin, which can send no header."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.core import signing
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from typing_extensions import override

from core.auth.principals import principal_of
from core.models import ApiKey

SECONDS = 60  # until a stream has to be opened; it may last longer
PARAMETER = "token"
SALT = "agentsite.stream"


@dataclass(frozen=True)
class StreamToken:
    """What a token allows: to watch what this owner has."""

    principal: Any  # primary key
    key: str | None  # primary key of the API key by which it was asked for
    user_id: str


def issue(request: Request, user_id: str) -> str:
    """Return a token with which the request's principal can watch what this owner has."""
    key = request.auth.pk if isinstance(request.auth, ApiKey) else None
    return signing.dumps([str(principal_of(request).pk), key, user_id], salt=SALT)


class StreamTokenAuthentication(BaseAuthentication):
    """Authentication by `?token=`."""

    @override
    def authenticate(self, request: Request) -> tuple[Any, StreamToken] | None:
        """Return the user and the token, or None without one. Raises AuthenticationFailed."""
        if (text := request.query_params.get(PARAMETER)) is None:
            return None
        try:
            token = StreamToken(*signing.loads(text, salt=SALT, max_age=SECONDS))
        except (signing.BadSignature, ValueError, TypeError) as error:
            raise AuthenticationFailed from error
        return holder_of(token), token

    @override
    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def holder_of(token: StreamToken) -> Any:
    """Return the user, if the token's key and its user are still good. Raises AuthenticationFailed."""
    user = get_user_model()._default_manager.filter(pk=token.principal, is_active=True).first()
    if user is None:
        raise AuthenticationFailed
    if token.key is not None:
        key = ApiKey.objects.get_usable_keys().filter(pk=token.key, user=user).first()
        if key is None or key.has_expired:
            raise AuthenticationFailed
    return user
