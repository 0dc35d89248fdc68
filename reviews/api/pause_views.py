"""REST endpoints of the kill switch."""

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from agents.models import Pause
from core.api import pagination
from core.auth.principals import principal_of
from core.errors import Invalid, NotAllowed, NotFound
from reviews import pauses
from reviews.api import pause_openapi as openapi
from reviews.api.serializers import PauseSerializer

ACTIVE, LIFTED = "active", "lifted"
STATUSES = (ACTIVE, LIFTED)


class PauseViewSet(ViewSet):
    """Pauses of everything, an agent, a tool or a user."""

    @openapi.LIST
    def list(self, request: Request) -> Response:
        """List pauses, newest first."""
        if not pauses.may_see(request.user):
            raise NotAllowed
        if (status := request.query_params.get("status", ACTIVE)) not in STATUSES:
            raise Invalid(errors={"status": [f"Must be one of {', '.join(STATUSES)}."]})
        rows, cursor = pagination.page(request, Pause.objects.filter(lifted_at__isnull=status == ACTIVE))
        return Response({"results": [shown(row) for row in rows], "next": cursor})

    @openapi.PAUSE
    def create(self, request: Request) -> Response:
        """Pause everything, an agent, a tool or a user, or return the pause that is already in force."""
        pauses.require_to_pause(request.user)
        serializer = PauseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        actor = pauses.Actor.of(principal_of(request))
        pause, is_new = pauses.pause(**serializer.validated_data, actor=actor)
        return Response(shown(pause), status=201 if is_new else 200)

    @openapi.RESUME
    def destroy(self, request: Request, pk: str) -> Response:
        """Lift a pause, so that the tasks that it held continue."""
        pauses.require_to_pause(request.user)
        try:
            key = uuid.UUID(pk)
        except ValueError as error:
            raise NotFound from error
        return Response(shown(pauses.resume(key, pauses.Actor.of(principal_of(request)))))


def shown(pause: Pause) -> dict[str, Any]:
    """Return a pause as the API shows it to those who may see all of it."""
    return {
        "id": str(pause.pk),
        "scope": pause.scope,
        "value": pause.value or None,
        "reason": pause.reason,
        "by": pause.by_name,
        "since": pause.created_at,
        "by_file": bool(pause.source),
        "resumed_at": pause.lifted_at,
        "resumed_by": pause.lifted_by_name or None,
    }
