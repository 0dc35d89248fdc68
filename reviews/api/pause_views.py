"""REST endpoints of the kill switch."""

import uuid

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from agents.models import Pause
from core.api import pagination
from core.auth.principals import principal_of
from core.errors import Invalid, NotAllowed, NotFound
from reviews import pauses
from reviews.api import pause_openapi as openapi
from reviews.api import serializers

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
        results = [serializers.FullPauseSerializer.of(row) for row in rows]
        return Response(serializers.PauseListSerializer.of(results=results, next=cursor))

    @openapi.PAUSE
    def create(self, request: Request) -> Response:
        """Pause everything, an agent, a tool or a user, or return the pause that is already in force."""
        pauses.require_to_pause(request.user)
        serializer = serializers.PauseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        actor = pauses.Actor.of(principal_of(request))
        pause, is_new = pauses.pause(**serializer.validated_data, actor=actor)
        return Response(serializers.FullPauseSerializer.of(pause), status=201 if is_new else 200)

    @openapi.RESUME
    def destroy(self, request: Request, pk: str) -> Response:
        """Lift a pause, so that the tasks that it held continue."""
        pauses.require_to_pause(request.user)
        try:
            key = uuid.UUID(pk)
        except ValueError as error:
            raise NotFound from error
        pause = pauses.resume(key, pauses.Actor.of(principal_of(request)))
        return Response(serializers.FullPauseSerializer.of(pause))
