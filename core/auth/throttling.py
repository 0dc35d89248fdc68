"""How many requests: per principal (service accounts apart), per user they act for, and per address of strangers.

Counted in Django's cache, approximately: two requests at the same moment may count as one.
"""

import math
from typing import Any

from django.conf import settings
from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from typing_extensions import override

from core.api.addresses import client_address
from core.auth.principals import ACT_FOR_ANY_USER, may_act_for
from core.identifiers import stored
from core.text import digest


class Rate(SimpleRateThrottle):
    """The rate of the setting `RATE_<scope>`; an empty one refuses nothing."""

    @override
    def get_rate(self) -> str | None:
        return getattr(settings, f"RATE_{str(self.scope).upper()}") or None

    def key_of(self, ident: Any) -> str:
        """The cache's key for whoever is counted."""
        return self.cache_format % {"scope": self.scope, "ident": ident}


class PrincipalRate(Rate):
    """Of whoever holds the credential, over all endpoints. A service account, which acts for many, has its own rate."""

    scope = "principal"

    @override
    def allow_request(self, request: Request, view: Any) -> bool:
        if request.user.has_perm(ACT_FOR_ANY_USER):
            self.scope = "service"
            self.rate = self.get_rate()
            self.num_requests, self.duration = self.parse_rate(self.rate)
        return super().allow_request(request, view)

    @override
    def get_cache_key(self, request: Request, view: Any) -> str | None:
        return self.key_of(request.user.pk) if request.user.is_authenticated else None


class UserRate(Rate):
    """Of the user that a request acts for: the `user_id` of its body, or the principal."""

    scope = "user"

    @override
    def get_cache_key(self, request: Request, view: Any) -> str | None:
        """None where the view refuses anyway: a stranger must not use up somebody's rate."""
        given = request.data.get("user_id") if isinstance(request.data, dict) else None
        user_id = stored(given) if isinstance(given, str) else request.user.get_username()
        return self.key_of(user_id) if may_act_for(request.user, user_id) else None


class FailureRate(Rate):
    """Of requests without a valid credential. They are found out late: one looks, then counts those that failed."""

    scope = "anonymous"

    def __init__(self, ident: str, *, counts: bool) -> None:
        self.ident = ident
        self.counts = counts
        super().__init__()

    @override
    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.key_of(self.ident)

    @override
    def throttle_success(self) -> bool:
        return super().throttle_success() if self.counts else True


def require_unguessed(request: Request) -> None:
    """To call before a key is looked at. Raises Throttled where its secret came wrong from this address too often.

    Not for the address as a whole: one client with an expired key would shut out all others behind the same proxy.
    """
    offered = _offered(request)
    if offered and (wait := _refused(request, offered, counts=False)) is not None:
        raise Throttled(wait)


def count_failure(request: Request) -> int | None:
    """Count an answer of 401. Returns for how many seconds the address is refused, or None."""
    idents = filter(None, [client_address(request), _offered(request)])
    waits = [_refused(request, ident, counts=True) for ident in idents]
    return max((wait for wait in waits if wait is not None), default=None)


def _refused(request: Request, ident: str, *, counts: bool) -> int | None:
    rate = FailureRate(ident, counts=counts)
    no_view: Any = None
    if rate.allow_request(request, no_view):
        return None
    return math.ceil(rate.wait() or 1)


def _offered(request: Request) -> str:
    """The address with the public part of the key that is offered, as a digest: a client can write anything there."""
    public, _, secret = get_authorization_header(request).partition(b".")
    return digest(client_address(request) or "", public.decode("latin-1")) if secret else ""
