"""Which review comes next: within the list that the reader came from, and never one that somebody else has claimed."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.admin.views.main import ERROR_FLAG, ORDER_VAR, PAGE_VAR
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode

from agents.models import Interrupt
from core.db import leases
from reviews.decisions import permissions
from reviews.models import Claim, Review

WITHIN = "_changelist_filters"  # the list's query string in the address of a review, as Django's admin names it
LEFT_OUT = (PAGE_VAR, ERROR_FLAG)
CLOSED_TABS = ("decided", "all")  # nothing waits there, or not only
SORTED_LIMIT = 1000  # reviews that are read to find the place of one in a list that the reader has sorted


def filter_of(params: Mapping[str, Sequence[str]]) -> str:
    """The query string that makes the list again, from its parameters; the number of the page is left out."""
    kept = {name: values for name, values in params.items() if name not in LEFT_OUT}
    return urlencode(sorted(kept.items()), doseq=True)


def address(page: str, *args: Any, within: str = "") -> str:
    """The address of a page of the queue, of `first` or of one review, that carries the list's filter on."""
    path = reverse(f"admin:reviews_review_{page}", args=args)
    if not within:
        return path
    return f"{path}?{within if page == 'changelist' else urlencode({WITHIN: within})}"


def within_of(request: Any) -> str:
    """The filter that the address of this request carries on, in a form that is safe in another address."""
    return QueryDict(request.GET.get(WITHIN, "")).urlencode()


def waiting_list(within: str) -> QueryDict:
    """The parameters of the list whose reviews come next: those of the filter, on a tab where reviews wait."""
    params = QueryDict(within, mutable=True)
    if params.get("status") in CLOSED_TABS:
        del params["status"]
    return params


def is_sorted(within: str) -> bool:
    """Whether the reader has chosen another order than the queue's own."""
    return bool(QueryDict(within).get(ORDER_VAR))


def candidates(principal: Any, listed: QuerySet[Review]) -> QuerySet[Review]:
    """The open reviews of the list that the principal may decide and that nobody else has claimed."""
    return _open(principal, listed).exclude(pk__in=_claimed(principal))


def are_claimed(principal: Any, listed: QuerySet[Review]) -> bool:
    """Whether somebody else has claimed reviews of the list that the principal may decide."""
    return _open(principal, listed).filter(pk__in=_claimed(principal)).exists()


def _open(principal: Any, listed: QuerySet[Review]) -> QuerySet[Review]:
    return listed.filter(status=Interrupt.Status.PENDING, pk__in=permissions.decidable(principal).values("pk"))


def _claimed(principal: Any) -> QuerySet[Claim, Any]:
    return leases.held(Claim.objects.all(), "until").exclude(by=principal.pk).values("review")


def after(found: QuerySet[Review], review: Interrupt, *, in_own_order: bool, wrap: bool) -> Review | None:
    """The candidate behind this review in the order of the list; with `wrap` else the first one.

    Args:
        in_own_order: whether the reader has chosen another order than the queue's own.
    """
    others = found.exclude(pk=review.pk)
    behind = _behind_sorted(found, review) if in_own_order else others.filter(_behind(review)).first()
    return behind or (others.first() if wrap else None)


def _behind(review: Interrupt) -> Q:
    """The reviews behind this one in the queue's own order (`queue.ORDER`)."""
    same = Q(created_at__gt=review.created_at) | Q(created_at=review.created_at, pk__gt=review.pk)
    if review.expires_at is None:
        return Q(expires_at=None) & same
    return Q(expires_at=None) | Q(expires_at__gt=review.expires_at) | Q(expires_at=review.expires_at) & same


def _behind_sorted(found: QuerySet[Review], review: Interrupt) -> Review | None:
    """The candidate behind this one, which may have been decided and so have left the list, in any order."""
    keys = found.order_by().values("pk")
    rows = Review.objects.select_related("task__session").filter(Q(pk=review.pk) | Q(pk__in=keys))
    rows = rows.order_by(*found.query.order_by)
    order = list(rows.values_list("pk", flat=True)[:SORTED_LIMIT])
    place = order.index(review.pk) + 1 if review.pk in order else len(order)
    return rows.filter(pk=order[place]).first() if place < len(order) else None
