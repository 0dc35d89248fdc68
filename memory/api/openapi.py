"""OpenAPI descriptions of the long-term memory endpoints."""

from drf_spectacular.utils import OpenApiParameter, extend_schema_serializer
from rest_framework import serializers

from core.api import openapi
from core.api.openapi import USER_ID, DoneSerializer, ErrorSerializer, operation, uuid_parameter
from memory.api.serializers import ChangeSerializer, MemorySerializer, WriteSerializer

TAG = "memory"
MEMORY_ID = uuid_parameter("memory_id", "The memory.")
QUERY = OpenApiParameter(
    "query", {"type": "string"}, description="Return the `limit` memories that match these words best, on one page."
)


class WrittenSerializer(DoneSerializer):
    """Confirmation with the ID of the memory."""

    memory_id = serializers.UUIDField()


@extend_schema_serializer(many=False)
class MemoryListSerializer(serializers.Serializer):
    """A page of memories."""

    results = MemorySerializer(many=True)
    next = serializers.CharField(allow_null=True)


WRITE = operation(
    "write_memory",
    "Write a memory",
    tag=TAG,
    request=WriteSerializer,
    answers={201: (WrittenSerializer, "The memory is stored.")},
    fails=(403,),
)
LIST = operation(
    "list_memories",
    "List the memories of a user",
    tag=TAG,
    parameters=[USER_ID, QUERY, *openapi.PAGE],
    answers={200: (MemoryListSerializer, "A page of memories: newest first, or best matches first with `query`.")},
    fails=(400, 404),
)
CHANGE = operation(
    "change_memory",
    "Replace the text of a memory",
    tag=TAG,
    request=ChangeSerializer,
    parameters=[USER_ID, MEMORY_ID],
    answers={200: (MemorySerializer, "The new memory, which replaces the old one.")},
    fails=(404,),
    bodies={409: (ErrorSerializer, "`superseded`: the memory has already been replaced.")},
)
FORGET = operation(
    "forget_memory",
    "Forget a memory",
    tag=TAG,
    parameters=[USER_ID, MEMORY_ID],
    answers={200: (DoneSerializer, "The memory is forgotten.")},
    fails=(400, 404),
)
