"""OpenAPI schema of the endpoints of sessions and tasks."""

from drf_spectacular.utils import OpenApiParameter

from agents.api import openapi_rules as openapi_rules
from agents.api import serializers, usage_bodies
from agents.usage import sums
from core.api import openapi
from core.api.openapi import SESSION_ID, TASK_ID, USER_ID, operation
from core.api.outputs import DoneSerializer, ErrorSerializer
from core.auth import stream_tokens

TASKS, SESSIONS, SYSTEM = "tasks", "sessions", "system"
IDEMPOTENCY_KEY = OpenApiParameter(
    serializers.KEY_HEADER,
    {"type": "string", "minLength": 1, "maxLength": serializers.KEY_LIMIT, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    OpenApiParameter.HEADER,
    description="Identifies the request for 24 hours: the same key with the same body returns the same task. "
    "For clients that don't send a `task_id`.",
)
MESSAGE_CURSOR = openapi.cursor("message-cursor")
DONE = {200: (DoneSerializer, "Deleted.")}

WAIT = OpenApiParameter(
    "wait",
    {"type": "integer", "minimum": 0, "maximum": 60, "default": 0},
    description="How many seconds to wait at most until the task has ended, or waits for a person.",
)
INVOKE = operation(
    "invoke",
    "Submit a task",
    tag=TASKS,
    request=serializers.InvokeSerializer,
    parameters=[IDEMPOTENCY_KEY, WAIT],
    answers={
        200: (serializers.TaskSerializer, "With `wait`: the task has ended, or waits for a person."),
        202: (serializers.NamedTaskSerializer, "The task is stored. A worker runs it."),
    },
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
    request=serializers.TaskIdsSerializer,
    answers={
        200: (serializers.CancelledSerializer, "The task had already ended. `status` is its final status."),
        202: (serializers.CancelledSerializer, "The task is cancelled."),
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
    parameters=[USER_ID, SESSION_ID, openapi.ORDER, *openapi.PAGE],
    answers={200: (serializers.TaskListSerializer, "A page of tasks. Empty if the session doesn't exist.")},
    fails=(400, 404),
)


def _cursors(pattern: str) -> tuple[OpenApiParameter, ...]:
    """Return the parameters of a stream whose events have ids of this form."""
    schema = {"type": "string", "pattern": pattern}
    return (
        OpenApiParameter(
            "after", schema, description="The `id` of the last event that was received: what follows is sent."
        ),
        OpenApiParameter(
            "Last-Event-ID",
            schema,
            OpenApiParameter.HEADER,
            description="The same. Browsers send it when they reconnect.",
        ),
        OpenApiParameter(
            stream_tokens.PARAMETER,
            {"type": "string", "format": "stream-token"},
            description="A token in place of the `Authorization` header, which `EventSource` can't send.",
        ),
    )


_EVENTS = (
    "Server-sent events. Each has its `kind` as `event` and the JSON described here as `data`. There are also `chunk`, "
    "a piece of a message that the model writes, without an `id`: `{task_id, message_id, position, text, kind}`, where "
    "`kind` is `text` or `reasoning`, followed by the finished message with the same ID; and `end`, the last event: "
    "`{status}`. Close the connection then. A comment at least every 10 seconds keeps the connection open."
)
STREAM_TOKEN = operation(
    "create_stream_token",
    "Get a token for streams",
    tag=TASKS,
    request=serializers.StreamTokenSerializer,
    answers={201: (serializers.IssuedTokenSerializer, "The token.")},
    fails=(404,),
)
STREAM_TASK = operation(
    "stream_task",
    "Watch a task",
    tag=TASKS,
    parameters=[USER_ID, SESSION_ID, TASK_ID, *_cursors("^[0-9]{1,9}$")],
    answers={(200, "text/event-stream"): (serializers.EventSerializer, _EVENTS)},
    fails=(400, 404),
)
STREAM_SESSION = operation(
    "stream_session",
    "Watch a session",
    tag=SESSIONS,
    parameters=[USER_ID, SESSION_ID, *_cursors(r"^[0-9]{1,9}\.[0-9]{1,9}(-[0-9]{1,9}\.[0-9]{1,9})*$")],
    answers={(200, "text/event-stream"): (serializers.EventSerializer, _EVENTS)},
    fails=(400, 404),
)
OPEN_SESSION = operation(
    "open_session",
    "Open a session",
    tag=SESSIONS,
    request=serializers.OpenSessionSerializer,
    answers={
        200: (serializers.SessionSerializer, "The session already existed."),
        201: (serializers.SessionSerializer, "The session was created."),
    },
    fails=(403,),
    bodies={409: (ErrorSerializer, "`session_exists`: the session exists with a different title or agent.")},
)
READ_SESSION = operation(
    "read_session",
    "Read a session",
    tag=SESSIONS,
    parameters=[USER_ID, SESSION_ID, openapi.ORDER, openapi.LIMIT, MESSAGE_CURSOR],
    answers={200: (serializers.ConversationSerializer, "The session and a page of its messages.")},
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
    answers={200: (serializers.SessionIdsSerializer, "A page of session IDs.")},
    fails=(400, 404),
)
ACTIVE_SESSION = operation(
    "active_session",
    "Find the most recently active session",
    tag=SESSIONS,
    parameters=[USER_ID],
    answers={200: (serializers.ActiveSessionSerializer, "The ID of the session.")},
    fails=(400, 404),
)
USAGE = operation(
    "read_usage",
    "Read the usage of models",
    tag=SYSTEM,
    parameters=[
        OpenApiParameter("from", {"type": "string", "format": "date"}, description="The first day (UTC)."),
        OpenApiParameter(
            "to", {"type": "string", "format": "date"}, description="The last day (UTC), today by default."
        ),
        OpenApiParameter(
            "group_by",
            {"type": "string", "enum": list(sums.GROUPS), "default": sums.DAY},
            description="The groups.",
        ),
        OpenApiParameter(
            "user_id",
            openapi.ID,
            description="Only the usage of this user. Other users need the permission `view_system` or "
            "`act_for_any_user`.",
        ),
        OpenApiParameter(
            "format",
            {"type": "string", "enum": ["json", "csv"], "default": "json"},
            description="`csv` returns all groups as a table, as does `Accept: text/csv`.",
        ),
        openapi.LIMIT,
        openapi.cursor("usage-cursor"),
    ],
    answers={200: (usage_bodies.UsageListSerializer, "A page of sums, and the sum of all of them.")},
    fails=(400, 404),
)
