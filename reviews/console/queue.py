"""The queue: its tabs, order and filters. All of it is about the reviews that the reader may see."""

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.core.cache import cache
from django.db.models import Count, F, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models import UNFINISHED, Interrupt, Task
from core.closed_lookups import ClippingPaginator
from core.db import leases
from core.db.clock import Now
from core.text import visible
from reviews.console import following, page
from reviews.decisions import permissions
from reviews.models import Claim, Review

PENDING = Q(status=Interrupt.Status.PENDING)
ORDER = (F("expires_at").asc(nulls_last=True), "created_at", "pk")  # soonest expiry first
COUNTED = ("", "high", "overdue", "doubt")  # tabs whose numbers stand on the reviews themselves
TOOLS_CACHED = 30  # seconds


def pending() -> QuerySet[Review]:
    """The open reviews in the queue's order, with what `rights` needs."""
    return Review.objects.filter(PENDING).select_related("task__session").order_by(*ORDER)


def visible_to(request: HttpRequest) -> QuerySet[Review]:
    """`rights.visible` for the reader of this page, whose groups are then asked for once a request."""
    found: QuerySet[Review] | None = getattr(request, "_visible_reviews", None)
    if found is None:
        found = permissions.visible(request.user)
        request._visible_reviews = found  # type: ignore[attr-defined]
    return found.all()


def mine(principal: Any) -> Q:
    """What the principal has claimed, and the reviews of their own tasks, which a requester is asked to confirm."""
    # From the tasks and claims, of which one person has few, and not from all that is pending.
    own = Q(user_id=principal.get_username()) | Q(submitted_by=principal.pk)
    claimed = leases.held(Claim.objects.filter(by=principal.pk), "until")
    return Q(task__in=Task.objects.filter(own, status__in=UNFINISHED)) | Q(pk__in=claimed.values("review"))


def tabs(principal: Any) -> list[tuple[str, Any, Q]]:
    """Each tab: its value in the address, its label and its reviews."""
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
    """How many open reviews the reader may see behind each tab, by its value; two queries, once a request."""
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
    """How many open reviews the reader may see: one cheap query at most, also where the tabs are counted as well."""
    known: dict[str, int] = getattr(request, "_queue_counts", {})
    if "" not in known and not hasattr(request, "_pending_count"):
        request._pending_count = visible_to(request).filter(PENDING).count()  # type: ignore[attr-defined]
    return known[""] if known else int(request._pending_count)  # type: ignore[attr-defined]


def paginator(request: HttpRequest, reviews: QuerySet[Review], per_page: int) -> ClippingPaginator:
    """The pages of a list. What the tabs have counted is not counted again."""
    made = ClippingPaginator(reviews, per_page)
    if set(request.GET) <= {"status", "p", "o"} and (tab := request.GET.get("status", "")) in counts(request):
        made.__dict__["count"] = counts(request)[tab]
    return made


class TabFilter(SimpleListFilter):
    """The tabs above the queue. Pending unless something else is asked for."""

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
        """With the number of reviews, which `QueueList` counts."""
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


class ToolFilter(SimpleListFilter):
    """The tools of the reviews that the reader may see, up to half a minute ago."""

    title = _("tool")
    parameter_name = "tool"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        key = f"queue-tools:{'all' if permissions.sees_all(request.user) else request.user.pk}"
        names = cache.get(key)
        if names is None:
            found = visible_to(request).exclude(tool="").order_by("tool").values_list("tool", flat=True)
            names = list(found.distinct()[:100])
            cache.set(key, names, TOOLS_CACHED)
        asked = {self.value()} - {None, "", *names}  # Django ignores a filter that has no choices
        return [(name, visible(name)) for name in (*names, *asked)]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        return queryset.filter(tool=self.value()) if self.value() else queryset


class RiskFilter(SimpleListFilter):
    """Low, medium or high."""

    title = _("risk")
    parameter_name = "risk"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(RISKS.items())

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        return queryset.filter(risk=self.value()) if self.value() else queryset


RISKS = {"low": _("Low"), "medium": _("Medium"), "high": _("High")}


class QueueList(ChangeList):
    """One page of the queue, with the tabs' numbers and with who looks at what."""

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
        """What is decided: the newest first."""
        chosen = self.params.get("o")
        if not chosen and request.GET.get("status") in ("decided", "all"):
            return [F("answered_at").desc(nulls_first=True), "-pk"]
        return super().get_ordering(request, queryset)

    @override
    def url_for_result(self, result: Any) -> str:
        """Return the address of the review's page, which carries the filter of this list on."""
        return following.address("change", result.pk, within=following.filter_of(self.filter_params))

    @property
    def first_address(self) -> str:
        """Where the reader starts with the first review of this list."""
        return following.address("first", within=following.filter_of(self.filter_params))

    @property
    def tab_choices(self) -> list[dict[str, Any]]:
        """The tabs, as links."""
        return list(self._tab_filter.choices(self))

    @property
    def side_filters(self) -> list[Any]:
        """The filters that stand beside the list."""
        return [spec for spec in self.filter_specs if spec is not self._tab_filter]

    @property
    def _tab_filter(self) -> Any:
        return next(spec for spec in self.filter_specs if isinstance(spec, TabFilter))
