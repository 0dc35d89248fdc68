"""Who may act for whom: the one place that decides it."""

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
    """Who holds the request's credential. Raises NotAuthenticated where it has none."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def may_act_for(principal: Principal, user_id: str) -> bool:
    """Whether the principal is this owner, or a service account that acts for any owner."""
    return principal.get_username() == user_id or principal.has_perm(ACT_FOR_ANY_USER)


def require_to_write(principal: Principal, user_id: str) -> None:
    """Raises NotAllowed unless the principal may make new things for this owner."""
    if not may_act_for(principal, user_id):
        raise NotAllowed(f"You may not act for user_id {user_id!r}.")


def require_to_read(principal: Principal, user_id: str) -> None:
    """Raises NotFound, as for a thing that does not exist, unless the principal may act for this owner."""
    if not may_act_for(principal, user_id):
        raise NotFound


class OpenWithDebug(IsAuthenticated):
    """Whoever has a credential; anybody with DEBUG, on a machine of one's own."""

    @override
    def has_permission(self, request: Request, view: Any) -> bool:
        return settings.DEBUG or super().has_permission(request, view)
