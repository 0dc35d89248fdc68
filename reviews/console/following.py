"""Choice of the next review: from the list that the reader came from, and never one that someone else has claimed."""

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

WITHIN = "_changelist_filters"  # Django's parameter that carries the list's query string in a review's address
LEFT_OUT = (PAGE_VAR, ERROR_FLAG)
CLOSED_TABS = ("decided", "all")  # tabs with decided reviews
SORTED_LIMIT = 1000  # most reviews to read when locating one in a list that the reader has sorted


def filter_of(params: Mapping[str, Sequence[str]]) -> str:
    """Return the query string that restores a list from its parameters, without the page number."""
    kept = {name: values for name, values in params.items() if name not in LEFT_OUT}
    return urlencode(sorted(kept.items()), doseq=True)


def address(page: str, *args: Any, within: str = "") -> str:
    """Return the address of the queue, of `first` or of a page of one review, with the list's filter in it."""
    path = reverse(f"admin:reviews_review_{page}", args=args)
    if not within:
        return path
    return f"{path}?{within if page == 'changelist' else urlencode({WITHIN: within})}"


def within_of(request: Any) -> str:
    """Return the list's filter from this request's address, encoded for use in another address."""
    return QueryDict(request.GET.get(WITHIN, "")).urlencode()


def waiting_list(within: str) -> QueryDict:
    """Return the parameters of the list with the next review: the filter's, without a tab of decided reviews."""
    params = QueryDict(within, mutable=True)
    if params.get("status") in CLOSED_TABS:
        del params["status"]
    return params


def is_sorted(within: str) -> bool:
    """Return whether the reader has chosen an order other than the queue's own."""
    return bool(QueryDict(within).get(ORDER_VAR))


def candidates(principal: Any, listed: QuerySet[Review]) -> QuerySet[Review]:
    """Return the open reviews of the list that the principal may decide and that no one else has claimed."""
    return _open(principal, listed).exclude(pk__in=_claimed(principal))


def are_claimed(principal: Any, listed: QuerySet[Review]) -> bool:
    """Return whether someone else has claimed reviews of the list that the principal may decide."""
    return _open(principal, listed).filter(pk__in=_claimed(principal)).exists()


def _open(principal: Any, listed: QuerySet[Review]) -> QuerySet[Review]:
    return permissions.decidable(principal, listed.filter(status=Interrupt.Status.PENDING))


def _claimed(principal: Any) -> QuerySet[Claim, Any]:
    return leases.held(Claim.objects.all(), "until").exclude(by=principal.pk).values("review")


def after(found: QuerySet[Review], review: Interrupt, *, in_own_order: bool, wrap: bool) -> Review | None:
    """Return the candidate after this review in the list's order. If there is none: the first with `wrap`, else None.

    Args:
        in_own_order: whether the reader has chosen an order other than the queue's own.
    """
    others = found.exclude(pk=review.pk)
    behind = _behind_sorted(found, review) if in_own_order else others.filter(_behind(review)).first()
    return behind or (others.first() if wrap else None)


def _behind(review: Interrupt) -> Q:
    """Return a filter for the reviews after this one in the queue's own order (`SOONEST_FIRST`)."""
    same = Q(created_at__gt=review.created_at) | Q(created_at=review.created_at, pk__gt=review.pk)
    if review.expires_at is None:
        return Q(expires_at=None) & same
    return Q(expires_at=None) | Q(expires_at__gt=review.expires_at) | Q(expires_at=review.expires_at) & same


def _behind_sorted(found: QuerySet[Review], review: Interrupt) -> Review | None:
    """Return the candidate after this review in an order that the reader has chosen.

    The review itself may have been decided and so have left the list.
    """
    keys = found.order_by().values("pk")
    rows = Review.objects.select_related("task__session").filter(Q(pk=review.pk) | Q(pk__in=keys))
    rows = rows.order_by(*found.query.order_by)
    order = list(rows.values_list("pk", flat=True)[:SORTED_LIMIT])
    place = order.index(review.pk) + 1 if review.pk in order else len(order)
    return rows.filter(pk=order[place]).first() if place < len(order) else None
