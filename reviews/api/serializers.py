"""Serializers of request and response bodies."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from typing_extensions import override

from agents.api.serializers import ActionRequestSerializer, ObjectField, TaskIdsSerializer
from agents.models import Interrupt, Pause
from agents.models.pauses import VALUE_LENGTH
from agents.policy import RESPONSE_TYPES
from core.api.fields import FlagField, TextField, WholeNumberField
from core.api.outputs import ErrorSerializer, NullTextField, Output
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


class StoredObjectField(ObjectField):
    """Any JSON object, stored as text; null if there is none."""

    @override
    def to_representation(self, value: Any) -> Any:
        return json.loads(value) if value else None


class DecisionSerializer(Output):
    """A decision: what was decided, by whom and when."""

    response_type = serializers.ChoiceField(RESPONSE_TYPES, source="answer_type")
    args = StoredObjectField(allow_null=True, source="answer_args_text")
    message = NullTextField(source="answer_message")
    by = serializers.CharField(source="answered_by")
    at = serializers.DateTimeField(source="answered_at")

    @override
    def to_representation(self, instance: Interrupt) -> Any:
        return None if instance.answered_at is None else self.of(instance)


class ClaimedBySerializer(Output):
    """The user who has claimed the review, and until when."""

    user = serializers.CharField(source="by.username")
    until = serializers.DateTimeField()


class ReviewSerializer(Output):
    """A review. `allowed` lists the decisions that the caller may make now."""

    id = serializers.UUIDField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(Interrupt.Status.values)
    kind = serializers.ChoiceField(Interrupt.Kind.values)
    user_id = serializers.CharField(source="task.session.user_id")
    session_id = serializers.CharField(source="task.session.session_id")
    task_id = serializers.CharField(source="task.task_id")
    interrupt_id = serializers.UUIDField(source="pk")
    action_request = ActionRequestSerializer(source="*")
    args_schema = ObjectField()
    description = serializers.CharField(allow_blank=True)
    risk = serializers.CharField(allow_blank=True)
    allowed = serializers.ListField(child=serializers.ChoiceField(RESPONSE_TYPES))
    claimed_by = ClaimedBySerializer(allow_null=True)
    requested_at = serializers.DateTimeField(source="created_at")
    expires_at = serializers.DateTimeField(allow_null=True)
    decision = DecisionSerializer(allow_null=True, source="*")


@extend_schema_serializer(many=False)
class ReviewListSerializer(Output):
    """A page of reviews, oldest first."""

    results = ReviewSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class DecisionConflictSerializer(ErrorSerializer):
    """Why nothing was decided. `decision` is the existing decision, `open_interrupts` lists the open questions."""

    decision = DecisionSerializer(allow_null=True, required=False)
    status = serializers.ChoiceField(Interrupt.Status.values, required=False)
    open_interrupts = serializers.ListField(child=serializers.UUIDField(), required=False)


class ClaimConflictSerializer(ErrorSerializer):
    """Why the review could not be claimed."""

    claimed_by = ClaimedBySerializer(allow_null=True, required=False)


class FullPauseSerializer(Output):
    """A pause with its author and reason. `value` is the name of the agent or the tool, or the user ID."""

    id = serializers.UUIDField()
    scope = serializers.ChoiceField(Pause.Scope.values)
    value = NullTextField()
    reason = serializers.CharField(allow_blank=True)
    by = serializers.CharField(
        source="by_name", help_text="A username or a host, such as `manage.py:<login>@<host>` or `system:<host>`."
    )
    since = serializers.DateTimeField(source="created_at")
    by_file = serializers.BooleanField(
        source="source", help_text="Whether the pause is set by the file PAUSE in a data folder."
    )
    resumed_at = serializers.DateTimeField(allow_null=True, source="lifted_at")
    resumed_by = NullTextField(source="lifted_by_name")


@extend_schema_serializer(many=False)
class PauseListSerializer(Output):
    """A page of pauses, newest first."""

    results = FullPauseSerializer(many=True)
    next = serializers.CharField(allow_null=True)
