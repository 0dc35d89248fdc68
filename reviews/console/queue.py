"""Tabs, order and filters of the queue. All of them cover only the reviews that the reader may see."""

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.core.cache import cache
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models import NEWEST_FIRST, UNFINISHED, Interrupt, Task
from core.admin_lists import BoundedList, BoundedPaginator
from core.db import leases
from core.db.clock import Now
from core.db.distinct import cached_distinct
from core.text import visible
from reviews.console import following, page
from reviews.decisions import permissions
from reviews.models import SOONEST_FIRST, Claim, Review

PENDING = Q(status=Interrupt.Status.PENDING)
COUNTED = ("", "high", "overdue", "doubt")  # tabs that are counted from the reviews' own columns
TOOLS_CACHED = 30  # seconds
TOOLS_OF = 1_000  # newest reviews whose tools are offered to a reader who does not see all reviews


def pending() -> QuerySet[Review]:
    """Return the open reviews in the queue's order, with the related rows that `permissions` needs."""
    return Review.objects.filter(PENDING).select_related("task__session").order_by(*SOONEST_FIRST)


def visible_to(request: HttpRequest) -> QuerySet[Review]:
    """Return `permissions.visible` for the reader. Cached, so that each request reads their groups once."""
    found: QuerySet[Review] | None = getattr(request, "_visible_reviews", None)
    if found is None:
        found = permissions.visible(request.user)
        request._visible_reviews = found  # type: ignore[attr-defined]
    return found.all()


def mine(principal: Any) -> Q:
    """Return a filter for reviews the principal claimed, and those of their own tasks, which requesters confirm."""
    # Starts from the tasks and claims, of which one person has few, not from all pending reviews.
    own = Q(user_id=principal.get_username()) | Q(submitted_by=principal.pk)
    claimed = leases.held(Claim.objects.filter(by=principal.pk), "until")
    asked = Interrupt.objects.filter(PENDING, task__in=Task.objects.filter(own, status__in=UNFINISHED))
    return Q(pk__in=asked.order_by().values("pk").union(claimed.values("review")))


def tabs(principal: Any) -> list[tuple[str, Any, Q]]:
    """Return each tab: its value in the address, its label and a filter for its reviews."""
    return [
        ("", _("Pending"), PENDING),
        ("mine", _("Mine"), PENDING & mine(principal)),
        ("high", _("High risk"), PENDING & Q(risk="high")),
        ("overdue", _("Overdue"), PENDING & Q(expires_at__lt=Now())),
        ("doubt", _("In doubt"), PENDING & Q(kind=Interrupt.Kind.IN_DOUBT)),
        ("decided", _("Decided"), ~PENDING),
        ("all", _("All"), Q()),
    ]


def counts(request: HttpRequest) -> dict[str, int]:
    """Return the number of open reviews that the reader may see, by tab value. Two queries, once per request."""
    found: dict[str, int] | None = getattr(request, "_queue_counts", None)
    if found is None:
        where = {f"tab_{name}": where for name, _label, where in tabs(request.user) if name in COUNTED}
        reviews = visible_to(request).filter(PENDING)
        totals = reviews.aggregate(**{n: Count("pk", filter=w) for n, w in where.items()})
        found = {name: totals[f"tab_{name}"] for name in COUNTED}
        found["mine"] = reviews.filter(mine(request.user)).count()
        request._queue_counts = found  # type: ignore[attr-defined]
    return found


def pending_count(request: HttpRequest) -> int:
    """Return the number of open reviews that the reader may see. At most one query; none if the tabs are counted."""
    known: dict[str, int] = getattr(request, "_queue_counts", {})
    if "" not in known and not hasattr(request, "_pending_count"):
        request._pending_count = visible_to(request).filter(PENDING).count()  # type: ignore[attr-defined]
    return known[""] if known else int(request._pending_count)  # type: ignore[attr-defined]


def paginator(request: HttpRequest, reviews: QuerySet[Review], per_page: int) -> BoundedPaginator:
    """Return the list's paginator, which reuses the tab's count if no other filter is set."""
    made = BoundedPaginator(reviews, per_page)
    if set(request.GET) <= {"status", "p", "o"} and (tab := request.GET.get("status", "")) in counts(request):
        made.__dict__["counted"] = made.__dict__["count"] = counts(request)[tab]
    return made


class TabFilter(SimpleListFilter):
    """Filter for the tabs above the queue; pending by default."""

    title = _("status")
    parameter_name = "status"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.tabs = tabs(request.user)
        super().__init__(request, params, model, model_admin)

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, label) for name, label, _where in self.tabs if name]

    @override
    def choices(self, changelist: Any) -> Any:
        """Yield the tabs with their numbers of reviews, which `QueueList` counts."""
        for name, label, _where in self.tabs:
            changed = {self.parameter_name: name} if name else {}
            yield {
                "selected": (self.value() or "") == name,
                "query_string": changelist.get_query_string(changed, [self.parameter_name, "p"]),
                "display": label,
                "name": name,
                "count": changelist.counts.get(name),
            }

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        return queryset.filter(next((where for name, _, where in self.tabs if name == self.value()), PENDING))


def _tools(request: HttpRequest) -> list[str]:
    newest = visible_to(request).order_by("-created_at", "-pk").values_list("tool", flat=True)
    return sorted(set(newest[:TOOLS_OF]) - {""})


class ToolFilter(SimpleListFilter):
    """Filter by the tools of the reviews that the reader may see, cached for half a minute."""

    title = _("tool")
    parameter_name = "tool"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if permissions.sees_all(request.user):
            names = cached_distinct(Interrupt, "tool")
        else:
            key = f"queue-tools:{request.user.pk}"
            names = list(cache.get_or_set(key, lambda: _tools(request), TOOLS_CACHED) or ())
        asked = self.value() or ""  # Django ignores a filter that has no choices
        return [(name, visible(name)) for name in (*names, *({asked} - {"", *names}))]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        return queryset.filter(tool=self.value()) if self.value() else queryset


class RiskFilter(SimpleListFilter):
    """Filter by risk: low, medium or high."""

    title = _("risk")
    parameter_name = "risk"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(RISKS.items())

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        return queryset.filter(risk=self.value()) if self.value() else queryset


RISKS = {"low": _("Low"), "medium": _("Medium"), "high": _("High")}


class QueueList(BoundedList):
    """Page of the queue, with the tabs' counts and the reviews' claims."""

    formset = None

    def __init__(self, request: HttpRequest, model: Any, *args: Any) -> None:
        self.counts = counts(request)
        super().__init__(request, model, *args)

    @override
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        claims = page.claims(self.result_list)
        for row in self.result_list:
            row.claimed_by_name = claims.get(row.pk)

    @override
    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Review]) -> Any:
        """Return the order: newest decisions first on `decided` and `all`, unless the reader chose another."""
        chosen = self.params.get("o")
        if not chosen and request.GET.get("status") in ("decided", "all"):
            return list(NEWEST_FIRST)
        return super().get_ordering(request, queryset)

    @override
    def url_for_result(self, result: Any) -> str:
        """Return the address of the review's page, with the filter of this list in it."""
        return following.address("change", result.pk, within=following.filter_of(self.filter_params))

    @property
    def first_address(self) -> str:
        """Address that opens the first review of this list."""
        return following.address("first", within=following.filter_of(self.filter_params))

    @property
    def tab_choices(self) -> list[dict[str, Any]]:
        """Tabs, as links."""
        return list(self._tab_filter.choices(self))

    @property
    def side_filters(self) -> list[Any]:
        """Filters beside the list: all but the tabs."""
        return [spec for spec in self.filter_specs if spec is not self._tab_filter]

    @property
    def _tab_filter(self) -> Any:
        return next(spec for spec in self.filter_specs if isinstance(spec, TabFilter))
