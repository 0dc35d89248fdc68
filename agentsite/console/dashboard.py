"""Dashboard on the admin's first page. The number of queries is fixed."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from agents.models import Interrupt, Status, Task
from agents.observability import totals
from agents.usage import sums
from agentsite.console.charts import Bar, bars, columns, compact
from core.db.clock import seconds_from_now
from reviews.decisions import permissions
from reviews.models import Decision

DAYS = 14  # of decisions
TOOL_DAYS, TOOL_DECISIONS = 30, 1_000  # of decisions by tool: the newest of these days
TOOLS = 8
ERRORS = 5
HOUR, DAY = 3600, 86_400  # seconds
TYPES = ("accept", "edit", "response", "reject")


@dataclass(frozen=True)
class Panel:
    """One part of the dashboard."""

    title: str
    chart: SafeString
    note: str = ""
    legend: tuple[tuple[str, Any], ...] = ()


def panels(principal: Any) -> list[Panel]:
    """Return the panels that the principal may see."""
    found = []
    if principal.has_perm(permissions.VIEW) or principal.has_perm(permissions.DECIDE):
        found += [_pending(principal), _decisions(principal), _tools(principal)]
    if principal.has_perm("agents.view_task"):
        found.append(_tasks())
    if principal.has_perm("agents.view_modelcall"):
        found += _usage()
    return found


def errors(principal: Any) -> Iterable[Task]:
    """Return the latest failed tasks, or none without the permission to view tasks."""
    if not principal.has_perm("agents.view_task"):
        return []
    return (
        Task.objects.filter(status=Status.ERROR)
        .select_related("session")
        .defer("result", "kept")
        .order_by("-updated_at")[:ERRORS]
    )


def _pending(principal: Any) -> Panel:
    hour, day, week = (seconds_from_now(-seconds) for seconds in (HOUR, DAY, 7 * DAY))
    ages: dict[str, Any] = {
        "hour": Q(created_at__gt=hour),
        "day": Q(created_at__lte=hour, created_at__gt=day),
        "week": Q(created_at__lte=day, created_at__gt=week),
        "older": Q(created_at__lte=week),
    }
    rows = permissions.visible(principal).filter(status=Interrupt.Status.PENDING)
    found = rows.aggregate(
        total=Count("pk"),
        late=Count("pk", filter=Q(expires_at__lt=seconds_from_now(0))),
        **{name: Count("pk", filter=where) for name, where in ages.items()},
    )
    names = {"hour": _("under an hour"), "day": _("under a day"), "week": _("under a week"), "older": _("older")}
    drawn = [
        Bar(label, [("bad" if name == "older" else "calm", found[name])], str(found[name]))
        for name, label in names.items()
    ]
    note = _("%(total)s pending, %(late)s of them overdue") % {"total": found["total"], "late": found["late"]}
    return Panel(_("Pending by age"), bars(_("Pending reviews by age"), drawn), note)


def _decisions(principal: Any) -> Panel:
    today = timezone.localdate()
    first = today - timedelta(days=DAYS - 1)
    rows = permissions.limited(
        principal, Decision.objects.filter(created_at__gt=seconds_from_now(-(DAYS + 1) * DAY)), "review"
    )
    counted: dict[date, int] = dict(
        rows.order_by().annotate(day=TruncDate("created_at")).values_list("day").annotate(count=Count("*"))
    )
    days = [first + timedelta(days=number) for number in range(DAYS)]
    values = [(str(day.day), date_format(day, "SHORT_DATE_FORMAT"), counted.get(day, 0)) for day in days]
    note = _("%(today)s today, %(total)s in the last 14 days") % {
        "today": counted.get(today, 0),
        "total": sum(value for *_names, value in values),
    }
    return Panel(_("Decisions per day"), columns(_("Decisions per day in the last 14 days"), values), note)


def _tools(principal: Any) -> Panel:
    recent = Decision.objects.filter(created_at__gt=seconds_from_now(-TOOL_DAYS * DAY))
    newest = permissions.limited(principal, recent, "review").order_by("-created_at")
    by_tool: dict[str, Counter[str]] = defaultdict(Counter)
    for tool, kind in newest.values_list("review__tool", "response_type")[:TOOL_DECISIONS]:
        by_tool[tool][kind] += 1
    by_tool.pop("", None)  # questions of no tool
    drawn = []
    for tool, kinds in sorted(by_tool.items(), key=lambda item: (-item[1].total(), item[0]))[:TOOLS]:
        approved, edited = (
            round(100 * part / kinds.total()) for part in (kinds["accept"] + kinds["edit"], kinds["edit"])
        )
        drawn.append(Bar(tool, [(kind, kinds[kind]) for kind in TYPES], f"{approved} % / {edited} %"))
    legend = (("accept", _("approved")), ("edit", _("edited")), ("response", _("answered")), ("reject", _("rejected")))
    title, note = (
        _("Approval and edit rate by tool"),
        _("Last 30 days: approved with or without changes / approved with changes"),
    )
    return Panel(
        title, bars(title, drawn), note if drawn else _("No decisions in the last 30 days"), legend if drawn else ()
    )


def _usage() -> list[Panel]:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=number) for number in reversed(range(DAYS))]
    found = {key: used for (key,), used in sums.grouped(sums.DAY, sums.Span(days[0], today), DAYS)}
    used = [found.get(day.isoformat(), sums.Sums()) for day in days]
    names = [(str(day.day), date_format(day, "SHORT_DATE_FORMAT")) for day in days]
    tokens = [(*name, one.tokens) for name, one in zip(names, used, strict=True)]
    note = _("%(calls)s calls in the last 14 days (UTC)") % {"calls": sum(one.calls for one in used)}
    panels = [Panel(_("Tokens per day"), columns(_("Tokens per day in the last 14 days"), tokens, compact), note)]
    if priced := [one.cost for one in used if one.cost is not None]:
        costs = [(*name, float(one.cost or 0)) for name, one in zip(names, used, strict=True)]
        note = _("%(amount)s %(currency)s in the last 14 days; calls of unknown cost: %(count)s") % {
            "amount": f"{sum(priced):.2f}",
            "currency": settings.MODEL_CURRENCY,
            "count": sum(one.unpriced + one.unknown for one in used),
        }
        panels.append(Panel(_("Cost per day"), columns(_("Cost per day in the last 14 days"), costs, compact), note))
    return panels


def _tasks() -> Panel:
    counted = totals.tasks_by_status()
    shown = [(status, counted.get(status.value, 0)) for status in Status]
    colours = {Status.ERROR: "bad", Status.COMPLETED: "good", Status.INTERRUPTED: "warn"}
    drawn = [Bar(str(status.label), [(colours.get(status, "calm"), count)], str(count)) for status, count in shown]
    return Panel(_("Tasks by status"), bars(_("Tasks by status"), drawn))
