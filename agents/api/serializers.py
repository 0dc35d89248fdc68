"""Serializers of request bodies, and the `Idempotency-Key` header."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from typing_extensions import override

from agents.services import ENQUEUE, STRATEGIES
from core.api.fields import TextField
from core.identifiers import IdentifierField

QUERY_LIMIT = 100_000  # characters
KEY_HEADER = "Idempotency-Key"
KEY_LIMIT = 255  # characters


def idempotency_key(request: Request) -> str:
    """Return the request's `Idempotency-Key`, or "" if it has none. Raises ValidationError."""
    if (key := request.headers.get(KEY_HEADER)) is None:
        return ""
    if not 1 <= len(key) <= KEY_LIMIT or not (key.isascii() and key.isprintable()):
        raise serializers.ValidationError({KEY_HEADER: [f"Send 1 to {KEY_LIMIT} printable ASCII characters."]})
    return key


class TaskIdsSerializer(serializers.Serializer):
    """The three IDs that identify a task."""

    user_id = IdentifierField(required=False)
    session_id = IdentifierField()
    task_id = IdentifierField()


class OpenSessionSerializer(serializers.Serializer):
    """The body of POST /agent/session."""

    user_id = IdentifierField(required=False)
    session_id = IdentifierField(required=False)
    title = TextField(max_length=200, required=False, allow_blank=True, allow_null=True)
    agent = TextField(max_length=100, required=False)


class InvokeSerializer(serializers.Serializer):
    """The body of POST /agent/invoke."""

    user_id = IdentifierField(required=False)
    session_id = IdentifierField(required=False)
    task_id = IdentifierField(required=False)
    query = TextField(max_length=QUERY_LIMIT)
    system_message = TextField(max_length=QUERY_LIMIT, required=False, allow_blank=True, allow_null=True)
    agent = TextField(max_length=100, required=False)
    multitask_strategy = serializers.ChoiceField(STRATEGIES, default=ENQUEUE)

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require a session_id with a task_id. Without the session, a retry would not be recognised as one."""
        if "task_id" in attrs and "session_id" not in attrs:
            raise serializers.ValidationError({"session_id": ["Send the session_id along with the task_id."]})
        return attrs
