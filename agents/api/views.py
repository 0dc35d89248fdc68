"""REST endpoints of sessions and tasks. Those that depend on who may decide are in `reviews.api.views`."""

import uuid
from collections import Counter
from typing import Any

from django.db.models import Count, Max
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from typing_extensions import override

from agents import services
from agents.api import history, openapi, serializers
from agents.models import ACTIVE, FINAL, Session, Status, Task
from core.api import pagination
from core.api.outputs import DoneSerializer
from core.api.viewsets import ClientIdsViewSet
from core.auth.principals import principal_of, require_to_read, require_to_write
from core.auth.throttling import UserRate


class TaskViewSet(ClientIdsViewSet):
    """Submitting, cancelling and listing of tasks."""

    @override
    def get_throttles(self) -> list[BaseThrottle]:
        """Count submissions for their user as well."""
        return [*super().get_throttles(), *([UserRate()] if self.action == "invoke" else [])]

    @openapi.INVOKE
    def invoke(self, request: Request) -> HttpResponseBase:
        """Store a task and return its IDs. A worker runs the task."""
        serializer = serializers.InvokeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        body: dict[str, Any] = {name: value for name, value in serializer.validated_data.items() if value is not None}
        body.setdefault("user_id", request.user.get_username())
        require_to_write(request.user, body["user_id"])
        key = serializers.idempotency_key(request)
        task = services.submit(services.Submission(**body), principal_of(request), key)
        return self.submitted(request, task)

    def submitted(self, request: Request, task: Task) -> HttpResponseBase:
        """Respond to the submission of a task."""
        return Response(serializers.NamedTaskSerializer.of(task), status=202)

    @openapi.CANCEL
    def cancel(self, request: Request) -> Response:
        """Cancel a task. A task that has already ended is left unchanged."""
        serializer = serializers.TaskIdsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        ids = {"user_id": request.user.get_username(), **serializer.validated_data}
        require_to_read(request.user, ids["user_id"])
        task = services.find_task(**ids)
        ended = task.status in FINAL
        task = services.cancel(task)
        return Response(serializers.CancelledSerializer.of(task, **ids), status=200 if ended else 202)

    @openapi.DELETE_TASK
    def destroy(self, request: Request, user_id: str, session_id: str, task_id: str) -> Response:
        """Delete a task and everything that belongs to it. A running task is stopped first."""
        require_to_read(request.user, user_id)
        services.delete_task(user_id, session_id, task_id)
        return Response(DoneSerializer.of(message="The task and everything that belongs to it were deleted."))

    @openapi.LIST_TASKS
    def list(self, request: Request, user_id: str, session_id: str) -> Response:
        """List the tasks of a session, oldest or newest first."""
        require_to_read(request.user, user_id)
        tasks = Task.objects.filter(session__user_id=user_id, session__session_id=session_id)
        newest_first = pagination.is_newest_first(request)
        rows, cursor = pagination.page(request, tasks.defer("result", "kept", "recalled"), newest_first=newest_first)
        ids = [f"{row.task_id}:{row.wire_status}" for row in rows]
        shown = [serializers.TaskRowSerializer.of(row) for row in rows]
        return Response(serializers.TaskListSerializer.of(task_ids=ids, tasks=shown, next=cursor))


class SessionViewSet(ClientIdsViewSet):
    """Opening, reading, listing and deleting of sessions."""

    @openapi.OPEN_SESSION
    def create(self, request: Request) -> Response:
        """Open a session before its first task, or return the existing one."""
        serializer = serializers.OpenSessionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        user_id = data.get("user_id", request.user.get_username())
        require_to_write(request.user, user_id)
        session_id = data.get("session_id") or str(uuid.uuid4())
        session, made = services.open_session(user_id, session_id, data.get("title") or "", data.get("agent", ""))
        return Response(serializers.SessionSerializer.of(session, **_figures(session)), status=201 if made else 200)

    @openapi.READ_SESSION
    def retrieve(self, request: Request, user_id: str, session_id: str) -> Response:
        """Return a session and a page of its messages, oldest or newest first."""
        require_to_read(request.user, user_id)
        session = services.find_session(user_id, session_id)
        messages, cursor = history.page(request, session)
        body = serializers.ConversationSerializer.of(session, **_figures(session), messages=messages, next=cursor)
        return Response(body)

    @openapi.DELETE_SESSION
    def destroy(self, request: Request, user_id: str, session_id: str) -> Response:
        """Delete a session and everything that belongs to it. A running task is stopped first."""
        require_to_read(request.user, user_id)
        services.delete_session(user_id, session_id)
        return Response(DoneSerializer.of(message="The session and everything that belongs to it were deleted."))

    @openapi.LIST_SESSIONS
    def list(self, request: Request, user_id: str) -> Response:
        """List the IDs of a user's sessions, newest first."""
        require_to_read(request.user, user_id)
        rows, cursor = pagination.page(request, Session.objects.filter(user_id=user_id))
        return Response(serializers.SessionIdsSerializer.of(session_ids=[row.session_id for row in rows], next=cursor))

    @openapi.ACTIVE_SESSION
    def active(self, request: Request, user_id: str) -> Response:
        """Return the session with the most recently changed task, or an empty string if there is none."""
        require_to_read(request.user, user_id)
        tasks = Task.objects.filter(user_id=user_id).order_by("-updated_at", "-pk")
        found = tasks.values_list("session__session_id", flat=True).first()
        return Response(serializers.ActiveSessionSerializer.of(active_session_id=found or ""))


def _figures(session: Session) -> dict[str, Any]:
    """Return the fields of a session that its tasks determine. `status` is `idle` or that of the active task."""
    groups = list(session.tasks.order_by().values_list("status").annotate(count=Count("pk"), last=Max("updated_at")))
    counts: Counter[str] = Counter()
    for status, count, _ in groups:
        counts[Status.PENDING.value if status == Status.QUEUED else status] += count
    return {
        "status": next((status for status, _, _ in groups if status in ACTIVE), "idle"),
        "tasks_count": sum(counts.values()),
        "tasks": dict(counts),
        "updated_at": max((last for _, _, last in groups), default=session.created_at),
    }
