"""Claims on reviews: leases of a few minutes that show others who is looking. Deciding needs none, and ends it."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from agents.models import Interrupt
from core.db import leases
from core.db.clock import seconds_from_now
from core.errors import Conflict, NotAllowed, NotFound
from reviews.audit import log
from reviews.decisions import permissions
from reviews.models import AuditEntry, Claim, Review

LEASE = 300.0  # seconds; the open page renews it

Verb = AuditEntry.Verb


class Claimed(Conflict):
    """Error for a claim on a review that somebody else has claimed."""

    default_detail = gettext_noop("Someone else has claimed this review. You can take it over.")
    code = "claimed"

    def __init__(self, claim: Claim) -> None:
        super().__init__()
        self.claim = claim


class Closed(Conflict):
    """Error for a claim on a review that is not pending."""

    default_detail = gettext_noop("This review is no longer open.")
    code = "not_open"


def held(reviews: Iterable[Interrupt]) -> dict[Any, Claim]:
    """Return the current claims on the open ones of these reviews, by review id, in one query."""
    keys = [review.pk for review in reviews if review.status == Interrupt.Status.PENDING]
    rows = leases.held(Claim.objects.filter(review__in=keys), "until").select_related("by") if keys else ()
    return {row.review_id: row for row in rows}


def claim(review_pk: Any, principal: User, *, take_over: bool = False) -> Review:
    """Claim a review, or renew one's own claim. A principal who may decide it may also take it over.

    Raises:
        NotFound, NotAllowed: as for deciding.
        Closed: it has been decided.
        Claimed: somebody else holds the claim; names them and the time it expires.
    """
    with transaction.atomic():
        review = _open(review_pk, principal)
        other = held([review]).get(review.pk)
        if other is not None and other.by_id == principal.pk:
            _store(review, principal)
            return review
        if other is not None and not take_over:
            raise Claimed(other)
        _store(review, principal)
        log.claim(Verb.CLAIMED if other is None else Verb.TAKEN_OVER, review, principal)
    return review


def release(review_pk: Any, principal: User) -> Review:
    """Release one's own claim, if there is one. Raises NotFound."""
    with transaction.atomic():
        review = _locked(review_pk, principal)
        rows = Claim.objects.filter(review=review, by=principal)
        live = leases.held(rows, "until").exists()
        rows.delete()
        if live:
            log.claim(Verb.RELEASED, review, principal)
    return review


def end(review: Interrupt) -> None:
    """Delete the claim on a review that has been closed. The caller holds the review's lock."""
    Claim.objects.filter(review=review.pk).delete()


def _store(review: Review, principal: User) -> None:
    Claim.objects.update_or_create(review_id=review.pk, defaults={"by": principal, "until": seconds_from_now(LEASE)})


def _open(review_pk: Any, principal: User) -> Review:
    review = _locked(review_pk, principal)
    if not permissions.may_decide(principal, review):
        raise NotAllowed(_("You can't claim this review, because its terms don't allow you to decide it."))
    if review.status != Interrupt.Status.PENDING:
        raise Closed(status=review.status)
    return review


def _locked(review_pk: Any, principal: User) -> Review:
    """Return the review, locked so that concurrent claims take turns. Raises NotFound."""
    # Only visible reviews are queried, so that the response time does not reveal whether a hidden one exists.
    review = permissions.visible(principal).select_for_update(of=("self",), no_key=True).filter(pk=review_pk).first()
    if review is None:
        raise NotFound
    return review
