"""The only services that decide reviews: `decide`, for the admin, REST and `/agent/resume`, and `expire`."""

import logging
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from agents import config
from agents import services as agents
from agents.maintenance import sweeper
from agents.models import Interrupt, Task
from agents.observability import failpoints
from agents.policy import RESPONSE_TYPES, Call, ResponseType, Terms, Verdict
from agents.state import interrupts
from core.db.connections import is_away
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.text import canonical, storable
from reviews import signals
from reviews.audit import log
from reviews.decisions import budgets, claims, edits, permissions
from reviews.models import Decision, Review

logger = logging.getLogger(__name__)

Status = Interrupt.Status
Kind = Interrupt.Kind
SYSTEM = log.SYSTEM
SPELLINGS: dict[str, ResponseType] = {**{name: name for name in RESPONSE_TYPES}, "ignore": "reject"}
BECOMES = {
    "accept": Status.APPROVED,
    "edit": Status.EDITED,
    "response": Status.RESPONDED,
    "reject": Status.REJECTED,
}
POSSIBLE: dict[str, tuple[ResponseType, ...]] = {
    Kind.TOOL_CALL: RESPONSE_TYPES,
    Kind.IN_DOUBT: ("accept", "response", "reject"),
    Kind.QUESTION: ("response",),
    Kind.BUDGET: ("accept", "response", "reject"),  # extend it, finish with what there is, cancel the task
}
EXPIRED = "nobody decided it in time"  # shown to the model
MESSAGE_LIMIT = 10_000  # characters of a reason or an answer


class AlreadyDecided(Conflict):
    """Error for a decision on a review that has a different one, or is closed."""

    default_detail = gettext_noop("This review has already been decided.")
    code = "already_decided"

    def __init__(self, review: Interrupt | None = None) -> None:
        super().__init__()
        self.review = review


class Stale(Conflict):
    """Error for a decision on an outdated version of a review."""

    default_detail = gettext_noop("The review has changed since you opened it. Read it again before you decide.")
    code = "stale"


@dataclass(frozen=True)
class Choice:
    """A person's choice on a review, as submitted."""

    response_type: str  # accept, edit, response, reject or ignore
    args: Any = None  # the edited arguments, the text of a response, or by how much to extend a budget
    message: str = ""  # the reason of a reject
    version: int | None = None  # of the review that the person saw; None: the current one
    digest: str = ""  # of what the person saw (Review.args_digest); "": not given
    override_reason: str = ""  # why a superuser overrides separation of duties; ignored if no override is needed

    def normal(self) -> "Choice":
        """Return the choice, validated and with synonyms replaced. Raises Invalid."""
        kind = SPELLINGS.get(self.response_type)
        if kind is None:
            raise Invalid(errors={"response_type": [_("Must be one of %(names)s.") % {"names": ", ".join(SPELLINGS)}]})
        if kind == "response" and not (isinstance(self.args, str) and self.args.strip()):
            raise Invalid(errors={"args": [_("A response must have a text.")]})
        message = self.args if kind == "response" else self.message
        for name, text in (("message", message), ("override_reason", self.override_reason)):
            if len(text) > MESSAGE_LIMIT:
                raise Invalid(errors={name: [_("At most %(limit)s characters.") % {"limit": MESSAGE_LIMIT}]})
        args, reason = self.args if kind in ("edit", "accept") else None, storable(self.override_reason.strip())
        return Choice(kind, args, storable(message), self.version, self.digest, reason)


def allowed(review: Interrupt) -> list[ResponseType]:
    """Return the decisions that this review allows to those who may decide it."""
    terms = permissions.terms_of(review)
    return [kind for kind in POSSIBLE[review.kind] if kind in terms.allowed or review.kind != Kind.TOOL_CALL]


def allowed_for(principal: User | AnonymousUser, review: Interrupt) -> list[ResponseType]:
    """Return what this principal may decide now: nothing if the review is closed or not theirs to decide."""
    if review.status != Status.PENDING or not permissions.may_decide(principal, review):
        return []
    return allowed(review)


def decide(review_pk: Any, principal: User, choice: Choice) -> Review:
    """Decide a review. The first decision wins; repeating it returns the review unchanged.

    Raises:
        NotFound: there is no such review, or the principal may not see it.
        NotAllowed: the terms don't let the principal decide it; a superuser needs a reason to override `distinct`.
        AlreadyDecided: it was decided differently, or closed; names who decided what, and when.
        Stale: it is not the version that was seen.
        Invalid: the response type or the arguments don't fit; nothing was decided.
    """
    choice = choice.normal()
    _expire_if_due(review_pk)
    with transaction.atomic():
        if choice.response_type == "reject":
            budgets.lock_session(review_pk)
        review = _locked(review_pk, principal)
        if not _entitled(principal, review, choice):
            raise NotAllowed(_("The terms of this review don't allow you to decide it."))
        _require_allowed(review, choice)
        choice = _with_args(review, choice)
        if review.status != Status.PENDING:
            return _repeated(review, choice)
        if choice.version not in (None, review.version) or choice.digest not in ("", review.args_digest):
            raise Stale
        answer = _answer(review, principal, choice)
        reason = _override_reason(principal, review, answer, choice)
        failpoints.here("before-decision")
        Decision.objects.create(
            review=review,
            response_type=answer.type,
            args_text=answer.args_text,
            message=answer.message,
            override_reason=reason,
            version=review.version,
            by=principal,
            by_name=answer.by,
        )
        log.decided(review, answer, principal, reason)
        claims.end(review)
        budgets.extend(review, answer, principal)
        agents.answer(review, answer)
        signals.review_decided.send_robust(sender=Review, review=review, status=answer.status, by=answer.by)
        decided = Review.objects.select_related("task__session").get(pk=review.pk)  # it may be deleted later
    failpoints.here("after-decision")
    logger.info("task %s: review %s of %s %s by %s", review.task_id, review.pk, review.tool, answer.status, answer.by)
    return decided


def expire() -> int:
    """Expire overdue reviews whose terms say reject, at most `sweeper.BATCH` at once. Returns how many."""
    found = interrupts.overdue().order_by("expires_at").values_list("pk", "task_id")
    return sweeper.each(found[: sweeper.BATCH], _expire)


def overdue_count() -> int:
    """Return how many open reviews are overdue and left for `expire` to close."""
    return int(interrupts.overdue().count())


def _expire_if_due(review_pk: Any) -> None:
    """Expire the review if it is overdue and the sweeper has not done so, so that no late decision is accepted."""
    found = interrupts.overdue().filter(pk=review_pk).values_list("pk", "task_id").first()
    if found is not None:
        _expire(found)


def _expire(found: tuple[Any, Any]) -> bool:
    review_pk, task_pk = found
    with transaction.atomic():
        Task.objects.select_for_update(no_key=True).filter(pk=task_pk).first()
        review = interrupts.overdue().select_related("task__session").filter(pk=review_pk).first()
        if review is None:
            return False
        answer = agents.Answer("reject", Status.EXPIRED, SYSTEM, message=EXPIRED)
        Decision.objects.create(
            review=review, response_type="reject", message=answer.message, version=review.version, by_name=SYSTEM
        )
        log.decided(review, answer, None)
        claims.end(review)
        agents.answer(review, answer)
        signals.review_decided.send_robust(sender=Review, review=review, status=answer.status, by=answer.by)
    logger.info("task %s: review %s of %s expired", task_pk, review_pk, review.tool)
    return True


def _locked(review_pk: Any, principal: User) -> Review:
    """Return the review with its task and itself locked, in this order. Raises NotFound.

    The task is locked so that concurrent decisions on its reviews see each other.
    """
    # Only visible reviews are queried, so that the response time does not reveal whether a hidden one exists.
    found = permissions.visible(principal).filter(pk=review_pk).values_list("task_id", flat=True).first()
    if found is None:
        raise NotFound
    Task.objects.select_for_update(no_key=True).filter(pk=found).first()
    reviews = Review.objects.select_for_update(of=("self",), no_key=True).select_related("task__session")
    review = reviews.filter(pk=review_pk).first()
    if review is None:
        raise NotFound
    return review


def _require_allowed(review: Review, choice: Choice) -> None:
    """Raise Invalid if the terms do not allow this response type, even for a choice that would change nothing."""
    if choice.response_type not in allowed(review):
        text = _("Allowed decisions for this review: %(names)s.") % {"names": ", ".join(allowed(review))}
        raise Invalid(errors={"response_type": [text]})


def _with_args(review: Review, choice: Choice) -> Choice:
    """Return the choice with its arguments checked. An edit without changes becomes an accept. Raises Invalid."""
    if choice.response_type == "accept":
        return replace(choice, args=budgets.checked(review, choice.args) if review.kind == Kind.BUDGET else None)
    if choice.response_type != "edit":
        return choice
    args = edits.edited(review, choice.args)
    if edits.is_unchanged(review, args):
        return replace(choice, response_type="accept", args=None)
    return replace(choice, args=args)


def _repeated(review: Review, choice: Choice) -> Review:
    """Return the review if it was decided the same way. Otherwise raise AlreadyDecided, which names the decision."""
    same = review.answer_type == choice.response_type and review.status == BECOMES[choice.response_type]
    if same and choice.args is not None:
        same = canonical(choice.args) == review.answer_args_text
    if same and choice.response_type in ("response", "reject"):
        same = review.answer_message == choice.message
    if same:
        return review
    raise AlreadyDecided(review)


def _answer(review: Review, principal: User, choice: Choice) -> agents.Answer:
    kind = SPELLINGS[choice.response_type]
    by = principal.get_username()
    if kind == "edit":
        return _edit(review, principal, choice)
    args_digest = review.args_digest if kind == "accept" else ""
    args_text = canonical(choice.args) if choice.args is not None else ""
    return agents.Answer(kind, BECOMES[kind], by, args_text, digest=args_digest, message=choice.message)


def _entitled(principal: User, review: Review, choice: Choice, terms: Terms | None = None) -> bool:
    """Return whether the principal may decide the review, if necessary by an override with a reason."""
    if permissions.may_decide(principal, review, terms):
        return True
    return bool(choice.override_reason) and permissions.may_override(principal, review, terms)


def _override_reason(principal: User, review: Review, answer: agents.Answer, choice: Choice) -> str:
    """Return the reason if an override was needed for the requested or the edited call; "" otherwise."""
    edited = Verdict.from_text(answer.verdict_text) if answer.verdict_text else None
    terms = [None] if edited is None or edited.action != "review" else [None, edited.terms]
    needed = any(not permissions.may_decide(principal, review, one) for one in terms)
    return choice.override_reason if needed else ""


def _edit(review: Review, principal: User, choice: Choice) -> agents.Answer:
    """Return the answer for an edit, after the policy has judged the edited call.

    Raises:
        Invalid: the policy denies it.
        NotAllowed: it needs another decider.
        Conflict: the policy can't judge it.
    """
    declared = Verdict.from_text(review.verdict_text).declared
    task = review.task
    call = Call(review.tool, choice.args, task.session.user_id, task.agent, declared, str(task.session_id))
    try:
        verdict = config.policy(task.agent).judge(call)
    except Exception as error:  # the agent is gone from the settings, or a policy of one's own fails
        if is_away(error):
            raise
        logger.exception("task %s: the policy can't judge an edit of %s", task.pk, review.tool)
        raise Conflict(
            _("The policy can't evaluate changed arguments now. Approve the original arguments, or reject the call.")
        ) from error
    if verdict.action == "deny":
        raise Invalid(_("The policy denies these arguments."), errors={"args": [verdict.reason or verdict.rule]})
    if verdict.action == "review" and not _entitled(principal, review, choice, verdict.terms):
        raise NotAllowed(_("With these arguments, someone else must decide the call."))
    args_text, verdict_text = canonical(choice.args), verdict.to_text()
    return agents.Answer(
        "edit",
        Status.EDITED,
        principal.get_username(),
        args_text=args_text,
        verdict_text=verdict_text,
        digest=interrupts.digest_of(review.task_id, review.tool, args_text, verdict_text),
        message=choice.message,
    )
