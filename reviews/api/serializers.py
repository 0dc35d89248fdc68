"""Serializers of request bodies."""

from typing import Any

from rest_framework import serializers
from typing_extensions import override

from agents.api.serializers import TaskIdsSerializer
from agents.models import Pause
from agents.models.pauses import VALUE_LENGTH
from core.api.fields import FlagField, TextField, WholeNumberField
from reviews.decisions.services import MESSAGE_LIMIT, SPELLINGS, Choice
from reviews.pauses import REASON_LENGTH


class ChoiceSerializer(serializers.Serializer):
    """A decision."""

    response_type = serializers.ChoiceField(sorted(SPELLINGS))
    args = serializers.JSONField(required=False, allow_null=True, default=None)
    message = TextField(required=False, allow_blank=True, allow_null=True, max_length=MESSAGE_LIMIT)
    override_reason = TextField(required=False, allow_blank=True, allow_null=True, max_length=MESSAGE_LIMIT)

    def choice(self) -> Choice:
        """Return the validated decision."""
        return choice_from(self.validated_data)


class DecideSerializer(ChoiceSerializer):
    """The body of POST /reviews/{id}/decide."""

    version = WholeNumberField(min_value=1, max_value=2**31 - 1)


class ClaimSerializer(serializers.Serializer):
    """The body of POST /reviews/{id}/claim."""

    take_over = FlagField(required=False, default=False)  # even if someone else has claimed it


class AddressedSerializer(ChoiceSerializer):
    """A decision and the interrupt that it answers."""

    interrupt_id = TextField(max_length=64)


class ResumeSerializer(TaskIdsSerializer):
    """The body of POST /agent/resume: either one decision, or a list of decisions with their interrupt IDs."""

    response_type = serializers.ChoiceField(sorted(SPELLINGS), required=False)
    args = serializers.JSONField(required=False, allow_null=True)
    message = TextField(required=False, allow_blank=True, allow_null=True, max_length=MESSAGE_LIMIT)
    override_reason = TextField(required=False, allow_blank=True, allow_null=True, max_length=MESSAGE_LIMIT)
    interrupt_id = TextField(required=False, max_length=64)
    decisions = serializers.ListField(child=AddressedSerializer(), required=False, allow_empty=False, max_length=100)

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("decisions" in attrs) == ("response_type" in attrs):
            raise serializers.ValidationError({"response_type": ["Send either response_type or decisions."]})
        return attrs


class PauseSerializer(serializers.Serializer):
    """The body of POST /pauses."""

    scope = serializers.ChoiceField(Pause.Scope.values)
    value = TextField(required=False, allow_blank=True, default="", max_length=VALUE_LENGTH)
    reason = TextField(max_length=REASON_LENGTH)


def choice_from(data: dict[str, Any]) -> Choice:
    """Return a choice from validated data."""
    texts = {name: data.get(name) or "" for name in ("message", "override_reason")}
    return Choice(data["response_type"], data.get("args"), version=data.get("version"), **texts)
