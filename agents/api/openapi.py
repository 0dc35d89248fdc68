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
    description="For a day, the same key with the same body is the same task. For clients that send no `task_id`.",
)
MESSAGE_CURSOR = openapi.cursor("message-cursor")


@extend_schema_field({"type": ["string", "array"], "items": {}})
class ContentField(serializers.JSONField):
    """A message's content: a text, or blocks of a model that answers in several."""


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """A JSON object of any kind."""


class NamedTaskSerializer(serializers.Serializer):
    """The three ids that name a task."""

    user_id = serializers.CharField()
    session_id = serializers.CharField()
    task_id = serializers.CharField()


class CancelledSerializer(NamedTaskSerializer):
    """A task after it was cancelled, or as it had ended."""

    status = serializers.ChoiceField(WIRE_STATUSES)


class CallSerializer(serializers.Serializer):
    """A tool call in a model's message."""

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
        help_text="Why the model's answer ended early: its output limit, a content filter, or its endpoint.",
    )


class SessionMessageSerializer(MessageSerializer):
    """A message with the task that it belongs to."""

    task_id = serializers.CharField()


class SessionSerializer(serializers.Serializer):
    """A session; `status` is `idle` or that of its active task."""

    user_id = serializers.CharField()
    session_id = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    agent = serializers.CharField()
    status = serializers.ChoiceField(["idle", *(status.value for status in ACTIVE)])
    tasks_count = serializers.IntegerField()
    tasks = serializers.DictField(child=serializers.IntegerField(), help_text="How many, by status.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ConversationSerializer(SessionSerializer):
    """A session with a page of its messages, oldest first."""

    messages = SessionMessageSerializer(many=True)
    next = serializers.CharField(allow_null=True)


@extend_schema_serializer(many=False)
class SessionIdsSerializer(serializers.Serializer):
    """A page of a user's sessions, newest first."""

    session_ids = serializers.ListField(child=serializers.CharField())
    next = serializers.CharField(allow_null=True)


class ActiveSessionSerializer(serializers.Serializer):
    """The session whose tasks changed last, or "" where there is none."""

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
    """The call that is asked about; a question of the graph's own has no `action`."""

    action = serializers.CharField(allow_blank=True)
    args = serializers.JSONField()


class ConfigSerializer(serializers.Serializer):
    """What this caller may answer."""

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
    """What a completed task has come to."""

    messages = MessageSerializer(many=True)


class LastResponseSerializer(serializers.Serializer):
    """What the task last had to say."""

    session_id = serializers.CharField()
    task_id = serializers.CharField()
    status = serializers.ChoiceField(WIRE_STATUSES)
    timestamp = serializers.FloatField(help_text="Seconds since 1970.")
    message = serializers.CharField(allow_null=True)
    result = ResultSerializer(allow_null=True)
    interrupt_data = InterruptSerializer(allow_null=True)
    interrupts = InterruptSerializer(many=True)


class PausedSerializer(serializers.Serializer):
    """What is paused, and since when; `value` names the agent, the tool or the user."""

    scope = serializers.ChoiceField(Pause.Scope.values)
    value = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField()


class TaskSerializer(NamedTaskSerializer):
    """A task; `last_response` is null while nothing has been answered."""

    status = serializers.ChoiceField(WIRE_STATUSES)
    message = serializers.CharField(allow_null=True)
    last_query = serializers.CharField()
    last_updated = serializers.FloatField(help_text="Seconds since 1970.")
    last_response = LastResponseSerializer(allow_null=True)
    blocked_by = serializers.CharField(allow_null=True, required=False, help_text="The task that it waits for.")
    paused = PausedSerializer(required=False, help_text="The pause that holds a pending task up.")


class MissingTaskSerializer(NamedTaskSerializer):
    """A task that does not exist, in the shape of one."""

    status = serializers.ChoiceField(["not_found"])
    message = serializers.CharField(allow_null=True)
    last_query = serializers.CharField(allow_null=True)
    last_updated = serializers.FloatField(allow_null=True)
    last_response = ObjectField(allow_null=True)
    detail = serializers.CharField()
    code = serializers.CharField()


DONE = {200: (DoneSerializer, "It is deleted.")}

INVOKE = operation(
    "invoke",
    "Submit a task",
    tag=TASKS,
    request=InvokeSerializer,
    parameters=[IDEMPOTENCY_KEY],
    answers={202: (NamedTaskSerializer, "The task is stored; a worker does it.")},
    fails=(403,),
    bodies={
        409: (ErrorSerializer, "`task_exists`, `idempotency_key_reused`: with another body. `session_busy`: as asked.")
    },
)
CANCEL = operation(
    "cancel",
    "Cancel a task",
    tag=TASKS,
    request=TaskIdsSerializer,
    answers={
        200: (CancelledSerializer, "It had ended already; its status."),
        202: (CancelledSerializer, "It is cancelled."),
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
    answers={200: (TaskListSerializer, "A page of tasks; a session that does not exist has none.")},
    fails=(400, 404),
)
OPEN_SESSION = operation(
    "open_session",
    "Open a session",
    tag=SESSIONS,
    request=OpenSessionSerializer,
    answers={200: (SessionSerializer, "It was there."), 201: (SessionSerializer, "It is new.")},
    fails=(403,),
    bodies={409: (ErrorSerializer, "`session_exists`: it is there with another title or agent.")},
)
READ_SESSION = operation(
    "read_session",
    "Read a session",
    tag=SESSIONS,
    parameters=[USER_ID, SESSION_ID, openapi.LIMIT, MESSAGE_CURSOR],
    answers={200: (ConversationSerializer, "The session with a page of its conversation.")},
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
    answers={200: (SessionIdsSerializer, "A page of their ids.")},
    fails=(400, 404),
)
ACTIVE_SESSION = operation(
    "active_session",
    "Find the session that was active last",
    tag=SESSIONS,
    parameters=[USER_ID],
    answers={200: (ActiveSessionSerializer, "Its id.")},
    fails=(400, 404),
)
