"""REST endpoint of the usage of models."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.exceptions import NotAcceptable
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from agents.api import openapi, usage_bodies
from agents.models import Task
from agents.usage import sums
from agents.usage.sums import Key, Span, Sums
from core import spreadsheets
from core.api import pagination
from core.auth.principals import ACT_FOR_ANY_USER, VIEW_SYSTEM, principal_of
from core.errors import Invalid, NotFound
from core.identifiers import identifier
from core.text import is_storable

DAYS = 30  # of the span, if the request names no first day
FORMATS = ("json", "csv")
CSV = "text/csv"
FIELDS = {  # that identify a group
    sums.DAY: ("day",),
    sums.USER: ("user_id",),
    sums.AGENT: ("agent",),
    sums.MODEL: ("model",),
    sums.SESSION: ("user_id", "session_id"),
    sums.TASK: ("user_id", "session_id", "task_id"),
}


class CsvRenderer(BaseRenderer):
    """Makes `Accept: text/csv` acceptable. The view writes the table itself."""

    media_type, format, charset = CSV, "csv", "utf-8"

    @override
    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        raise NotAcceptable


class UsageViewSet(ViewSet):
    """Sums of model calls: own ones, or all with `view_system` or `act_for_any_user`."""

    renderer_classes = (JSONRenderer, CsvRenderer)

    @openapi.USAGE
    def list(self, request: Request) -> Response | StreamingHttpResponse:
        """Return the number, the tokens and the cost of model calls by day, user, agent, model, session or task."""
        by = _choice(request, "group_by", sums.GROUPS)
        is_csv = _choice(request, "format", FORMATS) == "csv" or request.accepted_renderer.format == "csv"
        span, limit = _span(request), pagination.limit_of(request)
        after = _after(request, by)
        if is_csv:
            name = {"Content-Disposition": f'attachment; filename="usage-{span.first}-{span.last}-{by}.csv"'}
            return StreamingHttpResponse(_table(by, span), content_type=f"{CSV}; charset=utf-8", headers=name)
        groups = sums.grouped(by, span, limit + 1, after)
        cursor = pagination.encode(*groups[limit - 1][0]) if len(groups) > limit else None
        body = usage_bodies.UsageListSerializer.of(
            first_day=span.first,
            last_day=span.last,
            total=usage_bodies.usage(sums.total(span)),
            results=_named(by, groups[:limit]),
            next=cursor,
        )
        return Response(body)

    @override
    def handle_exception(self, exc: Exception) -> Response:
        """Report an error as JSON, also where a table was asked for."""
        if hasattr(self.request, "accepted_renderer"):
            self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), "application/json"
        return super().handle_exception(exc)


def _choice(request: Request, name: str, known: tuple[str, ...]) -> str:
    value = request.query_params.get(name, known[0])
    if value not in known:
        raise Invalid(errors={name: [f"Must be one of {', '.join(known)}."]})
    return value


def _span(request: Request) -> Span:
    """Return the days and the user that the request asks for. Raises Invalid, and NotFound for another's usage."""
    last = _day(request, "to") or datetime.now(UTC).date()
    first = _day(request, "from") or last - min(timedelta(days=DAYS - 1), last - date.min)
    if first > last:
        raise Invalid(errors={"from": ["Must not be after `to`."]})
    principal = principal_of(request)
    sees_all = principal.has_perm(VIEW_SYSTEM) or principal.has_perm(ACT_FOR_ANY_USER)
    user_id = request.query_params.get("user_id")
    if user_id is None:
        return Span(first, last, None if sees_all else principal.get_username())
    try:
        user_id = identifier(user_id)
    except ValueError as error:
        raise Invalid(errors={"user_id": [str(error)]}) from error
    if not sees_all and user_id != principal.get_username():
        raise NotFound
    return Span(first, last, user_id)


def _day(request: Request, name: str) -> date | None:
    if (text := request.query_params.get(name)) is None:
        return None
    try:
        if len(text) != len("2026-01-31"):
            raise ValueError("not in the form of a day")
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise Invalid(errors={name: ["Must be a day, such as 2026-01-31."]}) from error


def _after(request: Request, by: str) -> list[str]:
    """Return the key in the request's cursor. Raises Invalid."""
    if not (cursor := request.query_params.get("cursor")):
        return []
    key: list[str] = pagination.decode(cursor, *[str] * (2 if by == sums.SESSION else 1))
    read: dict[str, Any] = {sums.DAY: date.fromisoformat, sums.TASK: uuid.UUID}
    try:
        if by in read:
            read[by](key[0])
        if not all(map(is_storable, key)):
            raise ValueError("no database holds this")
    except ValueError as error:
        raise pagination.foreign() from error
    return key


def _named(by: str, groups: list[tuple[Key, Sums]]) -> list[dict[str, Any]]:
    """Return the bodies of the groups. A task is identified by the client's ids."""
    if by != sums.TASK:
        return [usage_bodies.group(found, **_fields(by, key)) for key, found in groups]
    tasks = Task.objects.filter(pk__in=[key for (key,), _ in groups]).select_related("session")
    known = {str(task.pk): task for task in tasks.only("task_id", "session__user_id", "session__session_id")}
    return [
        usage_bodies.group(
            found, user_id=task.session.user_id, session_id=task.session.session_id, task_id=task.task_id
        )
        for (key,), found in groups
        if (task := known.get(key)) is not None
    ]


def _fields(by: str, key: Key) -> dict[str, Any]:
    found = dict(zip(FIELDS[by], key, strict=True))
    return {name: value or None for name, value in found.items()}  # "": the user was erased


def _table(by: str, span: Span) -> Iterator[str]:
    """Yield all groups as lines of CSV, with a header line."""
    columns: list[str] = [*FIELDS[by], *map(str, usage_bodies.UsageSerializer().fields)]
    yield from spreadsheets.lines([columns])
    after: Key = ()
    while groups := sums.grouped(by, span, pagination.MAX_LIMIT, after):
        after = groups[-1][0]
        yield from spreadsheets.lines([one[name] for name in columns] for one in _named(by, groups))
