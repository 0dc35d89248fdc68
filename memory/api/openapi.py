"""OpenAPI descriptions of the long-term memory endpoints."""

from drf_spectacular.utils import OpenApiParameter

from core.api import openapi
from core.api.openapi import USER_ID, operation, uuid_parameter
from core.api.outputs import DoneSerializer, ErrorSerializer
from memory.api import serializers

TAG = "memory"
MEMORY_ID = uuid_parameter("memory_id", "The memory.")
QUERY = OpenApiParameter(
    "query", {"type": "string"}, description="Return the `limit` memories that match these words best, on one page."
)

WRITE = operation(
    "write_memory",
    "Write a memory",
    tag=TAG,
    request=serializers.WriteSerializer,
    answers={201: (serializers.WrittenSerializer, "The memory is stored.")},
    fails=(403,),
)
LIST = operation(
    "list_memories",
    "List the memories of a user",
    tag=TAG,
    parameters=[USER_ID, QUERY, *openapi.PAGE],
    answers={
        200: (serializers.MemoryListSerializer, "A page of memories: newest first, or best matches first with `query`.")
    },
    fails=(400, 404),
)
CHANGE = operation(
    "change_memory",
    "Replace the text of a memory",
    tag=TAG,
    request=serializers.ChangeSerializer,
    parameters=[USER_ID, MEMORY_ID],
    answers={200: (serializers.MemorySerializer, "The new memory, which replaces the old one.")},
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
