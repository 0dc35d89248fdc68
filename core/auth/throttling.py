"""Rate limits per principal, per user acted for, and per address of clients without a valid credential.

Service accounts have a rate of their own. Requests are counted in Django's cache, approximately: two requests at the
same moment may count as one.
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
    """Throttle with the rate of the setting `RATE_<scope>`. An empty rate refuses nothing."""

    @override
    def get_rate(self) -> str | None:
        return getattr(settings, f"RATE_{str(self.scope).upper()}") or None

    def key_of(self, ident: Any) -> str:
        """Return the cache key under which `ident` is counted."""
        return self.cache_format % {"scope": self.scope, "ident": ident}


class PrincipalRate(Rate):
    """Rate of a principal over all endpoints. A service account, which acts for many users, has its own rate."""

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
    """Rate of the user that a request acts for: the `user_id` of its body, or the principal."""

    scope = "user"

    @override
    def get_cache_key(self, request: Request, view: Any) -> str | None:
        """Return None if the view will refuse the request, so that a stranger cannot use up a user's rate."""
        given = request.data.get("user_id") if isinstance(request.data, dict) else None
        user_id = stored(given) if isinstance(given, str) else request.user.get_username()
        return self.key_of(user_id) if may_act_for(request.user, user_id) else None


class FailureRate(Rate):
    """Rate of requests without a valid credential.

    A failure is known only after the key was checked, so looking at the rate and counting are separate (`counts`).
    """

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
    """Raise Throttled if this address has sent too many wrong secrets for the key. Call this before checking a key.

    The address as a whole is not refused: one client with an expired key would lock out all others behind its proxy.
    """
    offered = _offered(request)
    if offered and (wait := _refused(request, offered, counts=False)) is not None:
        raise Throttled(wait)


def count_failure(request: Request) -> int | None:
    """Count a 401 response. Returns for how many seconds the client is refused, or None."""
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
    """Return a digest of the address and the public part of the offered key; "" without a key.

    The parts are hashed because a client can write anything there.
    """
    public, _, secret = get_authorization_header(request).partition(b".")
    return digest(client_address(request) or "", public.decode("latin-1")) if secret else ""
