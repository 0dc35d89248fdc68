"""Serializers of the long-term memory API."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from core.api.fields import TextField
from core.api.outputs import ConstantField, Output
from core.identifiers import IdentifierField
from memory.models import TEXT_LIMIT, Memory


class ChangeSerializer(serializers.Serializer):
    """The body of PATCH /agent/longterm/{user_id}/{memory_id}."""

    memory_info = TextField(max_length=TEXT_LIMIT)


class WriteSerializer(ChangeSerializer):
    """The body of POST /agent/write/longterm."""

    user_id = IdentifierField(required=False)


class MemorySerializer(serializers.ModelSerializer[Memory]):
    """A memory."""

    memory_id = serializers.UUIDField(source="pk", read_only=True)

    class Meta:
        model = Memory
        fields = ("memory_id", "text", "kind", "source", "status", "created_at", "updated_at")
        read_only_fields = fields


class WrittenSerializer(Output):
    """Confirmation with the ID of the memory."""

    status = ConstantField("success")
    memory_id = serializers.UUIDField(source="pk")
    message = serializers.CharField()


@extend_schema_serializer(many=False)
class MemoryListSerializer(Output):
    """A page of memories."""

    results = MemorySerializer(many=True)
    next = serializers.CharField(allow_null=True)
