"""Services that change policy rules and count their uses: only writer of PolicyRule."""

import glob
import json
import logging
from datetime import datetime, timedelta
from typing import Literal

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Min, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from agents.models import Interrupt, ToolCall
from agents.policy import Verdict
from agents.state import interrupts
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.text import shortened
from reviews.audit import log
from reviews.decisions import permissions
from reviews.models import AuditEntry, PolicyRule
from reviews.policy import conditions

logger = logging.getLogger(__name__)

Verb = AuditEntry.Verb
Scope = Literal["session", "user"]
ADD = "reviews.add_policyrule"
LONGEST = timedelta(days=30)  # of an "always allow"
MOST_USES = 1000  # of an "always allow"
NAME_LENGTH = 100


class AlreadyAllowed(Conflict):
    """Error for a second *always allow* from the same review."""

    default_detail = gettext_noop("A rule created from this review already allows this call.")
    code = "already_allowed"


class NotApproved(Conflict):
    """Error for an *always allow* from a review that is not approved."""

    default_detail = gettext_noop("You can create a rule only from an approved tool call.")
    code = "not_approved"


def save(rule: PolicyRule, principal: User) -> None:
    """Store a new or changed rule, which the caller has validated. Pending reviews keep their verdicts."""
    with transaction.atomic():
        before = PolicyRule.objects.select_for_update(no_key=True).filter(pk=rule.pk).first()
        if before is not None:
            rule.uses = before.uses  # calls may have been counted since the form was shown
        rule.save()
        if before is None:
            verb = Verb.RULE_CREATED
        elif before.enabled == rule.enabled:
            verb = Verb.RULE_CHANGED
        else:
            verb = Verb.RULE_ENABLED if rule.enabled else Verb.RULE_DISABLED
        log.rule(verb, rule, principal)
    logger.info("%s: %s by %s", rule, verb, principal.get_username())


def switch_off(rule: PolicyRule, principal: User) -> None:
    """Disable the rule from the next call on. A rule that is already disabled is left unchanged."""
    with transaction.atomic():
        if PolicyRule.objects.filter(pk=rule.pk, enabled=True).update(enabled=False):
            rule.enabled = False
            log.rule(Verb.RULE_DISABLED, rule, principal)


def admit(row: ToolCall, rule_id: int) -> bool:
    """Count one use of an allow. Return False if it is used up or no longer in force.

    The caller's transaction records the call (`row`). The count is one conditional update, so if two workers want the
    last use, one gets it.
    """
    rules = PolicyRule.objects.in_force().filter(pk=rule_id, effect=PolicyRule.Effect.ALLOW)
    if not rules.update(uses=F("uses") + 1):
        return False
    log.let_through(row, rule_id)
    logger.info("task %s: %s let through by rule %s", row.task_id, row.tool, rule_id)
    return True


def give_back(rule_id: int) -> None:
    """Undo one use of the allow that let a call through, because the call is withdrawn and will be judged again."""
    PolicyRule.objects.filter(pk=rule_id, uses__gt=0).update(uses=F("uses") - 1)


def may_allow_always(review: Interrupt, principal: User) -> bool:
    """Return whether this principal may use `allow_always` on this review once it is approved."""
    if review.kind != Interrupt.Kind.TOOL_CALL or not principal.has_perm(ADD):
        return False
    agreed = interrupts.agreed_terms(review)
    may = permissions.may_decide(principal, review) and permissions.may_decide(principal, review, agreed)
    return may and "high" not in _risks(review)


def can_allow_always(review: Interrupt, principal: User) -> bool:
    """Return whether the principal may use `allow_always` now: it is approved, and no rule made from it is in force."""
    decided = review.status in (Interrupt.Status.APPROVED, Interrupt.Status.EDITED)
    return decided and may_allow_always(review, principal) and rule_of(review) is None


def rule_of(review: Interrupt) -> PolicyRule | None:
    """Return the *always allow* in force that was made from this review, or None."""
    found: PolicyRule | None = PolicyRule.objects.in_force().filter(made_from=review.pk).first()
    return found


def _risks(review: Interrupt) -> set[str]:
    """Return every risk assigned to the call, as requested and as edited, by a rule and by the tool itself."""
    texts = [text for text in (review.verdict_text, review.answer_verdict_text) if text]
    verdicts = [Verdict.from_text(text) for text in texts]
    return {review.risk} | {terms.risk for one in verdicts for terms in (one.terms, one.declared) if terms is not None}


def allow_always(review: Interrupt, principal: User, *, scope: Scope, until: datetime, uses: int) -> PolicyRule:
    """Create a rule that lets the approved call through: same tool, agent and user, and exactly these arguments.

    The rule comes before all others except denies. The audit log records what it lets through; `switch_off` revokes it.

    Args:
        scope: in this session only, or in every session of this user.
        until: at most LONGEST ahead.
        uses: how many calls, at most MOST_USES.

    Raises:
        NotAllowed: not a tool call, the principal may not add rules or is barred by the terms, or the risk is high.
        NotApproved: the tool call was not approved.
        NotFound: the review was deleted in the meantime.
        AlreadyAllowed: a rule made from this review is in force.
        Invalid: a value is out of bounds, or the arguments of the call are too long for a rule.
    """
    if not may_allow_always(review, principal):
        raise NotAllowed(
            _(
                "You can't always allow this call. "
                "You need permission to decide it and to add rules, and its risk can't be high."
            )
        )
    if review.status not in (Interrupt.Status.APPROVED, Interrupt.Status.EDITED):
        raise NotApproved
    _require_bounds(scope, until, uses)
    with transaction.atomic():
        # Locked, because two concurrent rules would double the uses.
        if not Interrupt.objects.select_for_update(no_key=True).filter(pk=review.pk).exists():
            raise NotFound  # deleted in the meantime, perhaps with its session
        if rule_of(review) is not None:
            raise AlreadyAllowed
        rule = _exactly(review, scope, until, uses)
        save(rule, principal)
    return rule


def made_for(user_id: str) -> QuerySet[PolicyRule]:
    """Return the rules made from this user's calls. Such a rule holds their id and the arguments of a call."""
    return PolicyRule.objects.exclude(made_from=None).filter(user=glob.escape(user_id))


def _exactly(review: Interrupt, scope: str, until: datetime, uses: int) -> PolicyRule:
    session = review.task.session
    same = conditions.Condition(conditions.ALL, conditions.EQUALS, _agreed_arguments(review))
    named = {"tool": review.tool, "user": session.user_id}
    return PolicyRule(
        position=min(PolicyRule.objects.aggregate(first=Min("position"))["first"] or 0, 0) - 1,
        name=shortened(_("always allow %(tool)s for %(user)s") % named, NAME_LENGTH),
        effect=PolicyRule.Effect.ALLOW,
        tool=glob.escape(review.tool),
        user=glob.escape(session.user_id),
        agent=glob.escape(review.task.agent),
        session=session if scope == "session" else None,
        conditions=[same.data()],
        ends_at=until,
        use_limit=uses,
        made_from=review.pk,
    )


def _agreed_arguments(review: Interrupt) -> dict[str, object]:
    """Return the approved arguments, as edited. Raises Invalid if too long for a rule, which is read for each call."""
    text = review.answer_args_text or review.args_text
    if len(text) > conditions.MAX_VALUE:
        text = _("The arguments are too long for a rule: they have more than %(limit)s characters.")
        raise Invalid(text % {"limit": conditions.MAX_VALUE})
    return dict(json.loads(text))


def _require_bounds(scope: str, until: datetime, uses: int) -> None:
    wrong: dict[str, list[str]] = {}
    if scope not in ("session", "user"):
        wrong["scope"] = [_("Must be session or user.")]
    if not timezone.now() < until <= timezone.now() + LONGEST:
        wrong["until"] = [_("Must be in the future, and at most %(days)s days ahead.") % {"days": LONGEST.days}]
    if not 1 <= uses <= MOST_USES:
        wrong["uses"] = [_("Must be from 1 to %(limit)s.") % {"limit": MOST_USES}]
    if wrong:
        raise Invalid(errors=wrong)
