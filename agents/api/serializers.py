"""Serializers of request and response bodies, and the `Idempotency-Key` header."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from typing_extensions import override

from agents.api.usage_bodies import UsageSerializer
from agents.models import ACTIVE, FINAL, Event, Interrupt, Pause
from agents.policy import ResponseType
from agents.runtime.history import task_results
from agents.services import ENQUEUE, STRATEGIES
from core.api.fields import TextField
from core.api.outputs import ConstantField, NullTextField, Output
from core.identifiers import IdentifierField

QUERY_LIMIT = 100_000  # characters
KEY_HEADER = "Idempotency-Key"
KEY_LIMIT = 255  # characters
STRATEGY_HELP = (
    "What happens if the session has unfinished tasks. `enqueue`: this one waits. `reject`: it is refused. "
    "`interrupt`: they are cancelled, and what they finished stays in the conversation. "
    "`rollback`: they are cancelled, and only their calls stay."
)
WIRE_STATUSES = [status.value for status in (*ACTIVE, *FINAL)]


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
    multitask_strategy = serializers.ChoiceField(STRATEGIES, default=ENQUEUE, help_text=STRATEGY_HELP)

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require a session_id with a task_id. Without the session, a retry would not be recognised as one."""
        if "task_id" in attrs and "session_id" not in attrs:
            raise serializers.ValidationError({"session_id": ["Send the session_id along with the task_id."]})
        return attrs


@extend_schema_field({"type": ["string", "array"], "items": {}})
class ContentField(serializers.JSONField):
    """The content of a message: a string, or an array of content blocks."""


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """Any JSON object."""


class UnixTimeField(serializers.FloatField):
    """A moment as Unix time."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(help_text="Unix time in seconds.", **kwargs)

    @override
    def to_representation(self, value: Any) -> Any:
        return value.timestamp()


class AllowedField(serializers.BooleanField):
    """Whether a list of decisions has this one."""

    def __init__(self, decision: ResponseType) -> None:
        super().__init__(source="*")
        self.decision = decision

    @override
    def to_representation(self, value: Any) -> bool:
        return self.decision in value


class NamedTaskSerializer(Output):
    """The three IDs that identify a task."""

    user_id = serializers.CharField(source="session.user_id")
    session_id = serializers.CharField(source="session.session_id")
    task_id = serializers.CharField()


class CancelledSerializer(NamedTaskSerializer):
    """The status of the task after the request to cancel it."""

    status = serializers.ChoiceField(WIRE_STATUSES, source="wire_status")


class CallSerializer(serializers.Serializer):
    """A tool call in a message of the model."""

    name = serializers.CharField()
    args = ObjectField()
    id = serializers.CharField(allow_null=True)


class MessageSerializer(serializers.Serializer):
    """A message of a conversation."""

    type = serializers.ChoiceField(["human", "ai", "tool", "system"])
    content = ContentField()
    id = serializers.CharField(allow_null=True)
    name = serializers.CharField(required=False)
    tool_calls = CallSerializer(many=True, required=False)
    tool_call_id = serializers.CharField(required=False)
    cut_off = serializers.ChoiceField(
        ["length", "content_filter", "broken_off"],
        required=False,
        help_text="Why the model's answer is incomplete: its output limit, a content filter, or the endpoint.",
    )


class EventSerializer(Output):
    """An event of a task. `data` depends on `kind`.

    `status`: `{status, message?}`. `message`: a finished message, in the form of a task's result. `tool_started`:
    `{name, tool_call_id, message_id}`; `tool_finished`: the same and `status`. `interrupt`: `{interrupt_id,
    interrupt_type, action_request, description}`. `decision`: `{interrupt_id, response_type, by}`. `custom`: `{value}`,
    whatever the graph wrote.
    """

    task_id = serializers.CharField()
    seq = serializers.IntegerField(help_text="Counts a task's events from 1 without gaps.")
    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(Event.Kind.values)

    @override
    def get_fields(self) -> dict[str, Any]:
        """Add `data`, which as an attribute would hide the serializer's own."""
        return {**super().get_fields(), "data": ObjectField()}


class StreamTokenSerializer(serializers.Serializer):
    """The body of POST /agent/stream/token."""

    user_id = IdentifierField(required=False)


class IssuedTokenSerializer(Output):
    """A token for streams."""

    token = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds in which a stream has to be opened. It may last longer.")


class SessionMessageSerializer(MessageSerializer):
    """A message and the ID of its task."""

    task_id = serializers.CharField()


class SessionSerializer(Output):
    """A session. `status` is the status of its active task, or `idle` without one."""

    user_id = serializers.CharField()
    session_id = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    agent = serializers.CharField()
    status = serializers.ChoiceField(["idle", *(status.value for status in ACTIVE)])
    tasks_count = serializers.IntegerField()
    tasks = serializers.DictField(child=serializers.IntegerField(), help_text="Number of tasks by status.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ConversationSerializer(SessionSerializer):
    """A session and a page of its messages, oldest first."""

    messages = SessionMessageSerializer(many=True)
    next = serializers.CharField(allow_null=True)


@extend_schema_serializer(many=False)
class SessionIdsSerializer(Output):
    """A page of a user's sessions, newest first."""

    session_ids = serializers.ListField(child=serializers.CharField())
    next = serializers.CharField(allow_null=True)


class ActiveSessionSerializer(Output):
    """The session with the most recently changed task, or an empty string if there is none."""

    active_session_id = serializers.CharField(allow_blank=True)


class TaskRowSerializer(Output):
    """A task in a list."""

    task_id = serializers.CharField()
    status = serializers.ChoiceField(WIRE_STATUSES, source="wire_status")
    query = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


@extend_schema_serializer(many=False)
class TaskListSerializer(Output):
    """A page of a session's tasks, oldest first."""

    task_ids = serializers.ListField(child=serializers.CharField(), help_text="`<task_id>:<status>`")
    tasks = TaskRowSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ActionRequestSerializer(Output):
    """The tool call to decide on. For a question from the graph itself, `action` is empty."""

    action = serializers.CharField(allow_blank=True, source="tool")
    args = serializers.JSONField()


class ConfigSerializer(Output):
    """The decisions that the caller may make."""

    allow_accept = AllowedField("accept")
    allow_edit = AllowedField("edit")
    allow_respond = AllowedField("response")
    allow_ignore = AllowedField("reject")


class InterruptSerializer(Output):
    """An open question of a task."""

    interrupt_id = serializers.UUIDField(source="pk")
    interrupt_type = serializers.ChoiceField(Interrupt.Kind.values, source="kind")
    action_request = ActionRequestSerializer(source="*")
    config = ConfigSerializer()
    description = serializers.CharField(allow_blank=True)
    args_schema = ObjectField()
    expires_at = serializers.DateTimeField(allow_null=True)


class ResultSerializer(Output):
    """The result of a completed task."""

    messages = MessageSerializer(many=True)

    @override
    def to_representation(self, instance: dict[str, Any]) -> Any:
        return task_results.shown(instance)


class LastResponseSerializer(Output):
    """The latest response of a task: its result, an error, or its open questions."""

    session_id = serializers.CharField(source="session.session_id")
    task_id = serializers.CharField()
    status = serializers.ChoiceField(WIRE_STATUSES, source="wire_status")
    timestamp = UnixTimeField(source="updated_at")
    message = NullTextField()
    result = ResultSerializer(allow_null=True)
    interrupt_data = InterruptSerializer(allow_null=True)
    interrupts = InterruptSerializer(many=True)


class PausedSerializer(Output):
    """A pause in force. `value` is the name of the agent or the tool, or the user ID."""

    scope = serializers.ChoiceField(Pause.Scope.values)
    value = NullTextField()
    since = serializers.DateTimeField(source="created_at")


class TaskSerializer(NamedTaskSerializer):
    """A task. `last_response` is null until the task has its first response."""

    status = serializers.ChoiceField(WIRE_STATUSES, source="wire_status")
    message = NullTextField()
    last_query = serializers.CharField(source="query")
    last_updated = UnixTimeField(source="updated_at")
    last_response = LastResponseSerializer(allow_null=True)
    blocked_by = serializers.CharField(
        allow_null=True, required=False, help_text="The ID of the task that must finish first."
    )
    paused = PausedSerializer(required=False, help_text="The pause that keeps a pending task from starting.")
    usage = UsageSerializer(help_text="The task's calls of models until now.")


class MissingTaskSerializer(NamedTaskSerializer):
    """The response for a task that doesn't exist, with the fields of a task."""

    status = ConstantField("not_found")
    message = serializers.CharField(allow_null=True)
    last_query = serializers.CharField(allow_null=True)
    last_updated = serializers.FloatField(allow_null=True)
    last_response = ObjectField(allow_null=True)
    detail = serializers.CharField()
    code = serializers.CharField()
