"""Who may see a review, and who may decide it."""

import uuid
from dataclasses import replace

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet

from agents.models import Interrupt
from agents.questions import agreed_terms
from agents.terms import GROUP, REQUESTER, REVIEWERS, Terms, Verdict
from agentsite.core.principals import ACT_FOR_ANY_USER, may_act_for
from reviews.models import Decision, Review

DECIDE = "reviews.decide_review"
VIEW = "reviews.view_review"

Principal = User | AnonymousUser


def terms_of(review: Interrupt) -> Terms:
    """The terms that were frozen when it was asked."""
    return Verdict.from_text(review.verdict_text).terms


def is_requester(principal: Principal, review: Interrupt) -> bool:
    """Whether the principal owns the task or submitted it."""
    task = review.task
    return principal.get_username() == task.session.user_id or principal.pk == task.submitted_by_id


def may_decide(principal: Principal, review: Interrupt, terms: Terms | None = None) -> bool:
    """Whether the review's terms (or the ones given) let this principal decide it."""
    terms = terms or terms_of(review)
    if terms.distinct and is_requester(principal, review):
        return False
    return any(_is(principal, decider, review) for decider in terms.deciders)


def may_override(principal: Principal, review: Interrupt, terms: Terms | None = None) -> bool:
    """Whether nothing but separation of duties bars this superuser, who may set it aside with a reason."""
    terms = terms or terms_of(review)
    if may_decide(principal, review, terms) or not (principal.is_superuser and principal.is_active):
        return False
    return may_decide(principal, review, replace(terms, distinct=False))


def may_still_decide(review_pk: uuid.UUID) -> bool:
    """Whether who decided this review is active and has the right to decide it as it was decided."""
    decision = Decision.objects.filter(review=review_pk).select_related("by", "review__task__session").first()
    if decision is None or decision.by is None or not decision.by.is_active:
        return False
    by, review = decision.by, decision.review
    return all(
        may_decide(by, review, terms) or (bool(decision.override_reason) and may_override(by, review, terms))
        for terms in (None, agreed_terms(review))
    )


def may_see(principal: Principal, review: Interrupt) -> bool:
    """Those who may decide it, its owner and who acts for the owner, and staff with the view permission."""
    if may_act_for(principal, review.task.session.user_id) or (principal.is_staff and principal.has_perm(VIEW)):
        return True
    return may_decide(principal, review)


def visible(principal: Principal) -> QuerySet[Review]:
    """The reviews that may be visible to the principal; `may_see` has the last word where terms name a group."""
    reviews = Review.objects.select_related("task__session")
    if principal.has_perm(DECIDE) or principal.has_perm(ACT_FOR_ANY_USER):
        return reviews
    if principal.is_staff and principal.has_perm(VIEW):
        return reviews
    return reviews.filter(Q(task__session__user_id=principal.get_username()) | Q(task__submitted_by=principal.pk))


def _is(principal: Principal, decider: str, review: Interrupt) -> bool:
    if decider == REQUESTER:
        return is_requester(principal, review) or may_act_for(principal, review.task.session.user_id)
    if not principal.has_perm(DECIDE):
        return False
    if decider == REVIEWERS:
        return True
    return decider.startswith(GROUP) and principal.groups.filter(name=decider.removeprefix(GROUP)).exists()
