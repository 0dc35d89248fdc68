"""OpenAPI schema of the endpoints of sessions and tasks."""

from drf_spectacular.utils import OpenApiParameter, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from agents.api import openapi_rules as openapi_rules
from agents.api.serializers import KEY_HEADER, KEY_LIMIT, InvokeSerializer, OpenSessionSerializer, TaskIdsSerializer
from agents.models import ACTIVE, FINAL, Interrupt, Pause
from core.api import openapi
from core.api.openapi import SESSION_ID, TASK_ID, USER_ID, DoneSerializer, ErrorSerializer, operation

WIRE_STATUSES = [status.value for status in (*ACTIVE, *FINAL)]
TASKS, SESSIONS = "tasks", "sessions"
IDEMPOTENCY_KEY = OpenApiParameter(
    KEY_HEADER,
    {"type": "string", "minLength": 1, "maxLength": KEY_LIMIT, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    OpenApiParameter.HEADER,
    description="Identifies the request for 24 hours: the same key with the same body returns the same task. "
    "For clients that don't send a `task_id`.",
)
MESSAGE_CURSOR = openapi.cursor("message-cursor")


@extend_schema_field({"type": ["string", "array"], "items": {}})
class ContentField(serializers.JSONField):
    """The content of a message: a string, or an array of content blocks."""


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """Any JSON object."""


class NamedTaskSerializer(serializers.Serializer):
    """The three IDs that identify a task."""

    user_id = serializers.CharField()
    session_id = serializers.CharField()
    task_id = serializers.CharField()


class CancelledSerializer(NamedTaskSerializer):
    """The status of the task after the request to cancel it."""

    status = serializers.ChoiceField(WIRE_STATUSES)


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


class SessionMessageSerializer(MessageSerializer):
    """A message and the ID of its task."""

    task_id = serializers.CharField()


class SessionSerializer(serializers.Serializer):
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
class SessionIdsSerializer(serializers.Serializer):
    """A page of a user's sessions, newest first."""

    session_ids = serializers.ListField(child=serializers.CharField())
    next = serializers.CharField(allow_null=True)


class ActiveSessionSerializer(serializers.Serializer):
    """The session with the most recently changed task, or an empty string if there is none."""

    active_session_id = serializers.CharField(allow_blank=True)


class TaskRowSerializer(serializers.Serializer):
    """A task in a list."""

    task_id = serializers.CharField()
    status = serializers.ChoiceField(WIRE_STATUSES)
    query = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


@extend_schema_serializer(many=False)
class TaskListSerializer(serializers.Serializer):
    """A page of a session's tasks, oldest first."""

    task_ids = serializers.ListField(child=serializers.CharField(), help_text="`<task_id>:<status>`")
    tasks = TaskRowSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ActionRequestSerializer(serializers.Serializer):
    """The tool call to decide on. For a question from the graph itself, `action` is empty."""

    action = serializers.CharField(allow_blank=True)
    args = serializers.JSONField()


class ConfigSerializer(serializers.Serializer):
    """The decisions that the caller may make."""

    allow_accept = serializers.BooleanField()
    allow_edit = serializers.BooleanField()
    allow_respond = serializers.BooleanField()
    allow_ignore = serializers.BooleanField()


class InterruptSerializer(serializers.Serializer):
    """An open question of a task."""

    interrupt_id = serializers.UUIDField()
    interrupt_type = serializers.ChoiceField(Interrupt.Kind.values)
    action_request = ActionRequestSerializer()
    config = ConfigSerializer()
    description = serializers.CharField(allow_blank=True)
    args_schema = ObjectField()
    expires_at = serializers.DateTimeField(allow_null=True)


class ResultSerializer(serializers.Serializer):
    """The result of a completed task."""

    messages = MessageSerializer(many=True)


class LastResponseSerializer(serializers.Serializer):
    """The latest response of a task: its result, an error, or its open questions."""

    session_id = serializers.CharField()
    task_id = serializers.CharField()
    status = serializers.ChoiceField(WIRE_STATUSES)
    timestamp = serializers.FloatField(help_text="Unix time in seconds.")
    message = serializers.CharField(allow_null=True)
    result = ResultSerializer(allow_null=True)
    interrupt_data = InterruptSerializer(allow_null=True)
    interrupts = InterruptSerializer(many=True)


class PausedSerializer(serializers.Serializer):
    """A pause in force. `value` is the name of the agent or the tool, or the user ID."""

    scope = serializers.ChoiceField(Pause.Scope.values)
    value = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField()


class TaskSerializer(NamedTaskSerializer):
    """A task. `last_response` is null until the task has its first response."""

    status = serializers.ChoiceField(WIRE_STATUSES)
    message = serializers.CharField(allow_null=True)
    last_query = serializers.CharField()
    last_updated = serializers.FloatField(help_text="Unix time in seconds.")
    last_response = LastResponseSerializer(allow_null=True)
    blocked_by = serializers.CharField(
        allow_null=True, required=False, help_text="The ID of the task that must finish first."
    )
    paused = PausedSerializer(required=False, help_text="The pause that keeps a pending task from starting.")


class MissingTaskSerializer(NamedTaskSerializer):
    """The response for a task that doesn't exist, with the fields of a task."""

    status = serializers.ChoiceField(["not_found"])
    message = serializers.CharField(allow_null=True)
    last_query = serializers.CharField(allow_null=True)
    last_updated = serializers.FloatField(allow_null=True)
    last_response = ObjectField(allow_null=True)
    detail = serializers.CharField()
    code = serializers.CharField()


DONE = {200: (DoneSerializer, "Deleted.")}

INVOKE = operation(
    "invoke",
    "Submit a task",
    tag=TASKS,
    request=InvokeSerializer,
    parameters=[IDEMPOTENCY_KEY],
    answers={202: (NamedTaskSerializer, "The task is stored. A worker runs it.")},
    fails=(403,),
    bodies={
        409: (
            ErrorSerializer,
            "`task_exists`, `idempotency_key_reused`: the body differs from the first request. "
            "`session_busy`: the session has an unfinished task, and the strategy is `reject`.",
        )
    },
)
CANCEL = operation(
    "cancel",
    "Cancel a task",
    tag=TASKS,
    request=TaskIdsSerializer,
    answers={
        200: (CancelledSerializer, "The task had already ended. `status` is its final status."),
        202: (CancelledSerializer, "The task is cancelled."),
    },
    fails=(404,),
)
DELETE_TASK = operation(
    "delete_task",
    "Delete a task",
    tag=TASKS,
    parameters=[USER_ID, SESSION_ID, TASK_ID],
    answers=DONE,
    fails=(400, 404),
)
LIST_TASKS = operation(
    "list_tasks",
    "List the tasks of a session",
    tag=TASKS,
    parameters=[USER_ID, SESSION_ID, *openapi.PAGE],
    answers={200: (TaskListSerializer, "A page of tasks. Empty if the session doesn't exist.")},
    fails=(400, 404),
)
OPEN_SESSION = operation(
    "open_session",
    "Open a session",
    tag=SESSIONS,
    request=OpenSessionSerializer,
    answers={
        200: (SessionSerializer, "The session already existed."),
        201: (SessionSerializer, "The session was created."),
    },
    fails=(403,),
    bodies={409: (ErrorSerializer, "`session_exists`: the session exists with a different title or agent.")},
)
READ_SESSION = operation(
    "read_session",
    "Read a session",
    tag=SESSIONS,
    parameters=[USER_ID, SESSION_ID, openapi.LIMIT, MESSAGE_CURSOR],
    answers={200: (ConversationSerializer, "The session and a page of its messages.")},
    fails=(400, 404),
)
DELETE_SESSION = operation(
    "delete_session",
    "Delete a session",
    tag=SESSIONS,
    parameters=[USER_ID, SESSION_ID],
    answers=DONE,
    fails=(400, 404),
)
LIST_SESSIONS = operation(
    "list_sessions",
    "List the sessions of a user",
    tag=SESSIONS,
    parameters=[USER_ID, *openapi.PAGE],
    answers={200: (SessionIdsSerializer, "A page of session IDs.")},
    fails=(400, 404),
)
ACTIVE_SESSION = operation(
    "active_session",
    "Find the most recently active session",
    tag=SESSIONS,
    parameters=[USER_ID],
    answers={200: (ActiveSessionSerializer, "The ID of the session.")},
    fails=(400, 404),
)
