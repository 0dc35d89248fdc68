"""Permissions to see reviews and to decide them.

`visible` is the only definition of "may see": every list, page, count, search, filter, trial and export uses it.
"""

import json
import uuid
from dataclasses import replace
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, Model, OuterRef, Q, QuerySet, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan

from agents.models import Interrupt, Task, ToolCall
from agents.policy import GROUP, REQUESTER, REVIEWERS, Terms, Verdict
from agents.state.interrupts import agreed_terms
from core.auth.principals import ACT_FOR_ANY_USER, may_act_for
from reviews.models import Decision, Review

DECIDE = "reviews.decide_review"
VIEW = "reviews.view_review"
VIEW_CALLS = "agents.view_toolcall"
FEW = 100  # tasks whose keys are written into a condition

Principal = User | AnonymousUser
Row = TypeVar("Row", bound=Model)


def terms_of(review: Interrupt) -> Terms:
    """Return the terms that were frozen when the review was created."""
    return Verdict.from_text(review.verdict_text).terms


def is_requester(principal: Principal, review: Interrupt) -> bool:
    """Return whether the principal owns the task or submitted it."""
    task = review.task
    is_submitter = principal.pk is not None and principal.pk == task.submitted_by_id
    return principal.get_username() == task.session.user_id or is_submitter


def may_decide(principal: Principal, review: Interrupt, terms: Terms | None = None) -> bool:
    """Return whether the review's terms (or the given ones) let this principal decide it."""
    terms = terms or terms_of(review)
    if terms.distinct and is_requester(principal, review):
        return False
    return any(_is(principal, decider, review) for decider in terms.deciders)


def may_override(principal: Principal, review: Interrupt, terms: Terms | None = None) -> bool:
    """Return whether only separation of duties bars this superuser, who may override it with a reason."""
    terms = terms or terms_of(review)
    if may_decide(principal, review, terms) or not (principal.is_superuser and principal.is_active):
        return False
    return may_decide(principal, review, replace(terms, distinct=False))


def may_still_decide(review_pk: uuid.UUID) -> bool:
    """Return whether the person who decided this review is active and could still make the same decision."""
    decision = Decision.objects.filter(review=review_pk).select_related("by", "review__task__session").first()
    if decision is None or decision.by is None or not decision.by.is_active:
        return False
    by, review = decision.by, decision.review
    return all(
        may_decide(by, review, terms) or (bool(decision.override_reason) and may_override(by, review, terms))
        for terms in (None, agreed_terms(review))
    )


def may_see(principal: Principal, review: Interrupt) -> bool:
    """Return whether the review is `visible` to the principal."""
    return sees_all(principal) or visible(principal).filter(pk=review.pk).exists()


def sees_all(principal: Principal) -> bool:
    """Return whether the principal acts for every owner, or is staff with the view permission."""
    return principal.has_perm(ACT_FOR_ANY_USER) or (principal.is_staff and principal.has_perm(VIEW))


def visible(principal: Principal) -> QuerySet[Review]:
    """Return the reviews that the principal may see: all if `sees_all`, else their own and those they may decide."""
    reviews = Review.objects.select_related("task__session")
    if sees_all(principal):
        return reviews
    if not principal.has_perm(DECIDE):  # such a reader decides at most what they asked for
        reviews = reviews.filter(_by_task(_asked_for(principal)))
    return reviews.filter(_of_tasks(principal, _owned(principal)) | _decidable(principal))


def decidable(principal: Principal, among: QuerySet[Review] | None = None) -> QuerySet[Review]:
    """Return the reviews, of all or of these, in any status, for which `may_decide` is true."""
    reviews = Review.objects.all() if among is None else among
    return reviews.select_related("task__session").filter(_decidable(principal))


def limited(principal: Principal, rows: QuerySet[Row], review: str) -> QuerySet[Row]:
    """Return the rows whose review is visible to the principal. `review` names the rows' column."""
    if sees_all(principal):
        return rows
    return rows.filter(Exists(visible(principal).filter(pk=OuterRef(review))))


def visible_calls(principal: Principal) -> QuerySet[ToolCall]:
    """Return the tool calls that the principal may see: all with the permission, else their own and reviewed ones.

    Reviewed ones are the calls of reviews that are `visible` to the principal.
    """
    calls = ToolCall.objects.select_related("task__session")
    if principal.has_perm(ACT_FOR_ANY_USER) or (principal.is_staff and principal.has_perm(VIEW_CALLS)):
        return calls
    reviewed = visible(principal).filter(
        task=OuterRef("task"), message_id=OuterRef("message_id"), tool_call_id=OuterRef("tool_call_id")
    )
    return calls.filter(_by_task(_owned(principal)) | Exists(reviewed))


def _decidable(principal: Principal) -> Q:
    """Return `may_decide` as a query condition. Both read the same frozen terms, and a test compares their results."""
    asked_for = _of_tasks(principal, _asked_for(principal))
    may = _names(REQUESTER) & (Q() if principal.has_perm(ACT_FOR_ANY_USER) else asked_for)
    if principal.has_perm(DECIDE):
        groups = principal.groups.values_list("name", flat=True)
        for decider in (REVIEWERS, *(f"{GROUP}{name}" for name in groups)):
            may |= _names(decider)
    return may & ~(Q(distinct=True) & asked_for)


def _owned(principal: Principal) -> Q:
    """Return a condition for the principal's own tasks."""
    return Q(user_id=principal.get_username())


def _asked_for(principal: Principal) -> Q:
    """Return `is_requester` as a condition for tasks."""
    return _owned(principal) if principal.pk is None else _owned(principal) | Q(submitted_by=principal.pk)


def _of_tasks(principal: Principal, tasks: Q) -> Q:
    """Return the condition for tasks as one for their reviews.

    Most reviewers have few tasks or none. Their keys spare the database the look-up of each review's task, for which
    it would read all of them.
    """
    if not principal.has_perm(DECIDE):
        return _by_task(tasks)
    few: set[uuid.UUID] = set()
    for part in tasks.children:
        # One after the other, and in the order of their indexes: SQLite may read the whole table otherwise.
        few.update(Task.objects.filter(part).order_by("status").values_list("pk", flat=True)[: FEW + 1])
    return Q(task__in=few if len(few) <= FEW else Task.objects.filter(tasks).values("pk"))


def _by_task(tasks: Q) -> Q:
    """Return the condition for tasks as one for rows that refer to a task."""
    children: list[Any] = tasks.children
    return Q(*((f"task__{field}", value) for field, value in children), _connector=tasks.connector)


def _names(decider: str) -> Q:
    """Return a condition for terms that name this decider. StrIndex, because LIKE ignores case on SQLite."""
    text = json.dumps(decider)  # as `canonical` writes it; a quote inside a name follows a backslash
    return Q(GreaterThan(StrIndex("deciders", Value(f"[{text}")), 0)) | Q(
        GreaterThan(StrIndex("deciders", Value(f",{text}")), 0)
    )


def _is(principal: Principal, decider: str, review: Interrupt) -> bool:
    if decider == REQUESTER:
        return is_requester(principal, review) or may_act_for(principal, review.task.session.user_id)
    if not principal.has_perm(DECIDE):
        return False
    if decider == REVIEWERS:
        return True
    return decider.startswith(GROUP) and principal.groups.filter(name=decider.removeprefix(GROUP)).exists()
