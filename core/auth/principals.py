"""Rules for the owners that a principal may act for. No other module decides this."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from typing_extensions import override

from core.errors import NotAllowed, NotFound

ACT_FOR_ANY_USER = "agents.act_for_any_user"
VIEW_SYSTEM = "agents.view_system"

Principal = User | AnonymousUser


def principal_of(request: Request) -> User:
    """Return the user who holds the request's credential. Raises NotAuthenticated if it has none."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def may_act_for(principal: Principal, user_id: str) -> bool:
    """Return whether the principal is this owner, or a service account that acts for any owner."""
    return principal.get_username() == user_id or principal.has_perm(ACT_FOR_ANY_USER)


def require_to_write(principal: Principal, user_id: str) -> None:
    """Raise NotAllowed unless the principal may create objects for this owner."""
    if not may_act_for(principal, user_id):
        raise NotAllowed(f"You don't have permission to act for user_id {user_id!r}.")


def require_to_read(principal: Principal, user_id: str) -> None:
    """Raise NotFound, as for an object that does not exist, unless the principal may act for this owner."""
    if not may_act_for(principal, user_id):
        raise NotFound


class OpenWithDebug(IsAuthenticated):
    """Permission for requests with a credential, or for all requests with DEBUG, on a developer's machine."""

    @override
    def has_permission(self, request: Request, view: Any) -> bool:
        return settings.DEBUG or super().has_permission(request, view)
