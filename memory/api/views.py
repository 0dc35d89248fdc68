"""REST endpoints of long-term memory. Memories written by a client are trusted: they are active at once."""

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from core.api import pagination
from core.api.outputs import DoneSerializer
from core.api.viewsets import ClientIdsViewSet
from core.auth.principals import require_to_read, require_to_write
from core.errors import Invalid, NotFound
from memory import services
from memory.api import openapi, serializers
from memory.models import OPEN, Memory
from memory.search import newest, ranked


class MemoryViewSet(ClientIdsViewSet):
    """The memories of one user, written and read by the client."""

    @openapi.WRITE
    def create(self, request: Request) -> Response:
        """Store a text as a memory. If the text is already stored, return its memory."""
        data = _valid(serializers.WriteSerializer(data=request.data))
        user_id = data.get("user_id", request.user.get_username())
        require_to_write(request.user, user_id)
        memory = services.add(user_id, data["memory_info"], source=Memory.Source.API, trusted=True)
        return Response(serializers.WrittenSerializer.of(memory, message="The memory is stored."), status=201)

    @openapi.LIST
    def list(self, request: Request, user_id: str) -> Response:
        """List active memories and memories that wait for approval."""
        require_to_read(request.user, user_id)
        rows = Memory.objects.filter(user_id=user_id, status__in=OPEN)
        if query := request.query_params.get("query", "").strip():
            if "cursor" in request.query_params:
                raise Invalid(
                    errors={"cursor": ["A list with a query has one page. To get more memories, raise `limit`."]}
                )
            found, ranking = ranked(newest(rows), query)
            page, cursor = [found[one.candidate.id] for one in ranking[: pagination.limit_of(request)]], None
        else:
            page, cursor = pagination.page(request, rows)
        results = serializers.MemorySerializer(page, many=True).data
        return Response(serializers.MemoryListSerializer.of(results=results, next=cursor))

    @openapi.CHANGE
    def partial_update(self, request: Request, user_id: str, memory_id: str) -> Response:
        """Replace the text of a memory. This creates a new memory with a new ID. The old one is kept as history."""
        memory = _find(request, user_id, memory_id)
        data = _valid(serializers.ChangeSerializer(data=request.data))
        memory = services.supersede(memory, data["memory_info"], source=Memory.Source.API, trusted=True)
        return Response(serializers.MemorySerializer(memory).data)

    @openapi.FORGET
    def destroy(self, request: Request, user_id: str, memory_id: str) -> Response:
        """Forget a memory."""
        services.forget(_find(request, user_id, memory_id))
        return Response(DoneSerializer.of(message="The memory is forgotten."))


def _valid(serializer: serializers.ChangeSerializer) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _find(request: Request, user_id: str, memory_id: str) -> Memory:
    """Return the memory. Raises NotFound for a missing, a forgotten and another owner's memory alike."""
    require_to_read(request.user, user_id)
    try:
        key = uuid.UUID(memory_id)
    except ValueError as error:
        raise NotFound from error
    rows = Memory.objects.filter(pk=key, user_id=user_id).exclude(status=Memory.Status.FORGOTTEN)
    if (memory := rows.first()) is None:
        raise NotFound
    return memory
