"""Endpoints about the system as a whole."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet, Subquery
from django.urls import reverse
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from agents import pauses
from agents.api import usage_bodies
from agents.api.serializers import PausedSerializer
from agents.models import Interrupt, Pause, Session, Status, Task
from agents.observability import totals
from agents.usage import sums
from agentsite.api import openapi, readiness, serializers
from core.api.pagination import limit_of
from core.auth.principals import ACT_FOR_ANY_USER, VIEW_SYSTEM
from core.db.distinct import latest
from core.version import VERSION

CACHED = 10  # seconds
WALKED = 2_000  # newest tasks and sessions among which the most recently active users are looked for


class OpenViewSet(ViewSet):
    """Public endpoints that check no credential and do not use the database."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @openapi.INDEX
    def index(self, request: Request) -> Response:
        """Return the name and version of the service, with links."""
        links = {"admin": reverse("admin:index"), **{name: reverse(name) for name in ("docs", "schema", "health")}}
        return Response(serializers.IndexSerializer.of(name="Agentsite", version=VERSION, **links))

    @openapi.HEALTH
    def health(self, request: Request) -> Response:
        """Return 200 while the process is alive. Nothing else is checked."""
        return Response(serializers.HealthSerializer.of(message="The service is alive."))


class ReadinessViewSet(ViewSet):
    """Readiness probe. Only the database counts, because work is accepted without broker and workers."""

    permission_classes = (AllowAny,)

    @openapi.READY
    def retrieve(self, request: Request) -> Response:
        """Return 200 if the service can accept work. Callers with the permission `view_system` see more details."""
        if missing := readiness.missing_migrations():
            detail = f"Migrations are missing: {', '.join(missing[:10])}. Run `manage.py migrate`."
            error = {"detail": detail, "code": "migrations_missing", "status": "unavailable", "message": detail}
            return Response(serializers.NotReadySerializer.of(**error), status=503)
        found = readiness.surroundings() if request.user.has_perm(VIEW_SYSTEM) else {}
        return Response(serializers.ReadySerializer.of(**{"message": "The service accepts work.", **found}))


class SystemInfoViewSet(ViewSet):
    """Counts of sessions, tasks and reviews: own ones, or all with `view_system` or `act_for_any_user`."""

    @openapi.INFO
    def retrieve(self, request: Request) -> Response:
        """Return figures about sessions, tasks, users, reviews and workers."""
        sees_all = request.user.has_perm(VIEW_SYSTEM) or request.user.has_perm(ACT_FOR_ANY_USER)
        owner = None if sees_all else request.user.get_username()
        limit = limit_of(request)
        key = f"system-info:{limit}:{'all' if owner is None else request.user.pk}"
        info = cache.get(key)
        if info is None:
            info = figures(owner, limit)
            cache.set(key, info, CACHED)
        return Response(info)


def figures(owner: str | None, limit: int) -> dict[str, Any]:
    """Return the counts for one owner, or for all when None, with the `limit` most recently active users."""
    sessions, reviews = Session.objects.all(), Interrupt.objects.filter(status="pending")
    if owner is not None:
        sessions = sessions.filter(user_id=owner)
        reviews = reviews.filter(task__user_id=owner)
    users = _users(_newest(limit) if owner is None else _last_active([owner]))
    oldest = reviews.aggregate(count=Count("*"), oldest=Min("created_at"))
    waited = (timezone.now() - oldest["oldest"]).total_seconds() if oldest["oldest"] else None
    return serializers.SystemInfoSerializer.of(
        sessions_count=totals.sessions() if owner is None else sessions.count(),
        active_users=_sessions_of(sessions, list(users)),
        tasks=_by_status(owner),
        users=users,
        reviews=serializers.ReviewFiguresSerializer.of(pending=oldest["count"], oldest_seconds=waited),
        paused=[PausedSerializer.of(row) for row in _pauses(owner)],
        usage=_usage(owner),
        workers=readiness.workers()["workers_alive"],
        as_of=timezone.now(),
    )


def _pauses(owner: str | None) -> QuerySet[Pause]:
    """Return the pauses in force. For an owner, leave out pauses of other users."""
    found = pauses.active()
    return found if owner is None else found.exclude(~Q(value=owner), scope=Pause.Scope.USER)


def _usage(owner: str | None) -> dict[str, Any]:
    today = datetime.now(UTC).date()
    spans = {"today": sums.Span(today, today, owner), "month": sums.Span(today.replace(day=1), today, owner)}
    found = {name: usage_bodies.usage(sums.total(span)) for name, span in spans.items()}
    return serializers.UsageFiguresSerializer.of(**found)


def _by_status(owner: str | None) -> Counter[str]:
    """Count tasks by status as the API names it: queued tasks count as pending."""
    if owner is None:
        found = totals.tasks_by_status()
    else:
        own = Task.objects.filter(user_id=owner).order_by().values_list("status")
        found = dict(own.annotate(count=Count("*")))
    counts: Counter[str] = Counter()
    for status, count in found.items():
        counts[Status.PENDING.value if status == Status.QUEUED else status] += count
    return counts


def _newest(limit: int) -> dict[str, datetime]:
    """Return the most recently active users, newest first, with the time of their last activity."""
    found: dict[str, datetime] = {}
    for user_id, at in Task.objects.order_by("-updated_at").values_list("user_id", "updated_at")[:WALKED]:
        found.setdefault(user_id, at)
    if len(found) < limit:  # few users have most of the tasks, or there are no more
        found = latest(Task, "user_id", "updated_at", limit)
    top = sorted(found.items(), key=lambda item: item[1], reverse=True)[:limit]
    # Users without a task count from their last session.
    sessions = Session.objects.filter(~Exists(Task.objects.filter(session=OuterRef("pk"))))
    if len(top) == limit:
        sessions = sessions.filter(created_at__gt=top[-1][1])
    newest = sessions.order_by("-created_at", "-pk").values_list("user_id", flat=True)[:WALKED]
    found = {**dict(top), **_last_active(sorted(set(newest) - found.keys()))}
    return dict(sorted(found.items(), key=lambda item: item[1], reverse=True)[:limit])


def _last_active(users: list[str]) -> dict[str, datetime]:
    """Return when a task of each user changed last, or when their last session was opened if they have no task."""
    tasks = Task.objects.filter(user_id=OuterRef("user_id")).order_by("-updated_at").values("updated_at")[:1]
    opened = Session.objects.filter(user_id__in=users).order_by().values("user_id").annotate(opened=Max("created_at"))
    rows = opened.annotate(last=Subquery(tasks)).values_list("user_id", "last", "opened")
    return {user_id: last or created for user_id, last, created in rows}


def _users(active: dict[str, datetime]) -> dict[str, dict[str, Any]]:
    sessions = Session.objects.filter(user_id__in=active).order_by().values_list("user_id")
    tasks = Task.objects.filter(user_id__in=active).order_by().values_list("user_id")
    opened = dict(sessions.annotate(count=Count("*")))
    interrupted = Count("status", filter=Q(status=Status.INTERRUPTED))
    counts = {row[0]: row[1:] for row in tasks.annotate(count=Count("*"), interrupted=interrupted)}
    found = {}
    for user_id, last_active in active.items():
        task_count, waiting = counts.get(user_id, (0, 0))
        figures = {"tasks": task_count, "interrupted": waiting, "last_active": last_active}
        found[user_id] = serializers.UserFiguresSerializer.of(sessions=opened.get(user_id, 0), **figures)
    return found


def _sessions_of(sessions: QuerySet[Session], users: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {user: [] for user in users}
    rows = sessions.filter(user_id__in=users).order_by("-created_at").values_list("user_id", "session_id")
    for user_id, session_id in rows:
        found[user_id].append(session_id)
    return found
