"""How policy rules change and are used: the only writer of PolicyRule."""

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
    """This call is always allowed already, by a rule that was made from this review."""

    code = "already_allowed"


class NotApproved(Conflict):
    """Only a tool call that was approved can be allowed always."""

    code = "not_approved"


def save(rule: PolicyRule, principal: User) -> None:
    """Store a new or changed rule, which has been validated. Calls that wait keep the verdict they have."""
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
    """It says nothing any more, from the next call on. Also for a rule that is off."""
    with transaction.atomic():
        if PolicyRule.objects.filter(pk=rule.pk, enabled=True).update(enabled=False):
            rule.enabled = False
            log.rule(Verb.RULE_DISABLED, rule, principal)


def admit(row: ToolCall, rule_id: int) -> bool:
    """Count one use of an allow; False where it allows no more. The caller's transaction enters the call (`row`).

    One conditional update: of two workers that want the last use one gets it.
    """
    rules = PolicyRule.objects.in_force().filter(pk=rule_id, effect=PolicyRule.Effect.ALLOW)
    if not rules.update(uses=F("uses") + 1):
        return False
    log.let_through(row, rule_id)
    logger.info("task %s: %s let through by rule %s", row.task_id, row.tool, rule_id)
    return True


def give_back(row: ToolCall) -> None:
    """Count one use less of the allow that let this call through: it is taken back, and will be let through again."""
    entry = AuditEntry.objects.filter(object_id=str(row.pk), verb=Verb.LET_THROUGH).order_by("-pk").first()
    if entry is not None and entry.rule is not None:
        PolicyRule.objects.filter(pk=entry.rule, uses__gt=0).update(uses=F("uses") - 1)


def may_allow_always(review: Interrupt, principal: User) -> bool:
    """Whether `allow_always` would take this principal's word on this review, once it has been approved."""
    if review.kind != Interrupt.Kind.TOOL_CALL or not principal.has_perm(ADD):
        return False
    agreed = interrupts.agreed_terms(review)
    may = permissions.may_decide(principal, review) and permissions.may_decide(principal, review, agreed)
    return may and "high" not in _risks(review)


def can_allow_always(review: Interrupt, principal: User) -> bool:
    """Whether `allow_always` would do it now: the call was approved and no rule was made from it that is in force."""
    decided = review.status in (Interrupt.Status.APPROVED, Interrupt.Status.EDITED)
    return decided and may_allow_always(review, principal) and rule_of(review) is None


def rule_of(review: Interrupt) -> PolicyRule | None:
    """The *always allow* in force that was made from this review."""
    found: PolicyRule | None = PolicyRule.objects.in_force().filter(made_from=review.pk).first()
    return found


def _risks(review: Interrupt) -> set[str]:
    """Every risk that was said of the call: as asked and as edited, by a rule and by the tool itself."""
    texts = [text for text in (review.verdict_text, review.answer_verdict_text) if text]
    verdicts = [Verdict.from_text(text) for text in texts]
    return {review.risk} | {terms.risk for one in verdicts for terms in (one.terms, one.declared) if terms is not None}


def allow_always(review: Interrupt, principal: User, *, scope: Scope, until: datetime, uses: int) -> PolicyRule:
    """Let the very call that was approved through from now on: this tool, agent and user, exactly these arguments.

    The rule goes before all others, but no deny. What it lets through is in the audit log; `switch_off` revokes it.

    Args:
        scope: in this session only, or in every session of this user.
        until: at most LONGEST ahead.
        uses: how many calls, at most MOST_USES.

    Raises:
        NotAllowed: the right to add rules is missing, the terms bar the principal, or the risk is high.
        NotApproved: the review is something else than an approved tool call.
        NotFound: the review has been deleted meanwhile.
        AlreadyAllowed: there is a rule from this review in force.
        Invalid: an argument is out of its bounds, or those of the call are too long for a rule.
    """
    if not may_allow_always(review, principal):
        raise NotAllowed(
            _("You may not allow this call always: you need the right to add rules, and never for high risk.")
        )
    if review.status not in (Interrupt.Status.APPROVED, Interrupt.Status.EDITED):
        raise NotApproved
    _require_bounds(scope, until, uses)
    with transaction.atomic():
        # Two at once would be twice the uses.
        if not Interrupt.objects.select_for_update(no_key=True).filter(pk=review.pk).exists():
            raise NotFound  # deleted meanwhile, and its session perhaps as well
        if rule_of(review) is not None:
            raise AlreadyAllowed
        rule = _exactly(review, scope, until, uses)
        save(rule, principal)
    return rule


def made_for(user_id: str) -> QuerySet[PolicyRule]:
    """What was made from this user's calls: such a rule holds their id and the arguments of a call."""
    return PolicyRule.objects.exclude(made_from=None).filter(user=glob.escape(user_id))


def _exactly(review: Interrupt, scope: str, until: datetime, uses: int) -> PolicyRule:
    session = review.task.session
    same = conditions.Condition(conditions.ALL, conditions.EQUALS, _agreed_arguments(review))
    named = {"tool": review.tool, "user": session.user_id}
    return PolicyRule(
        position=min(PolicyRule.objects.aggregate(first=Min("position"))["first"] or 0, 0) - 1,
        name=shortened(_("always %(tool)s for %(user)s") % named, NAME_LENGTH),
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
    """What was approved, as edited. Raises Invalid where it is too long for a rule that each call reads."""
    text = review.answer_args_text or review.args_text
    if len(text) > conditions.MAX_VALUE:
        text = _("Its arguments have more than %(limit)s characters, too many for a rule.")
        raise Invalid(text % {"limit": conditions.MAX_VALUE})
    return dict(json.loads(text))


def _require_bounds(scope: str, until: datetime, uses: int) -> None:
    wrong: dict[str, list[str]] = {}
    if scope not in ("session", "user"):
        wrong["scope"] = [_("session or user.")]
    if not timezone.now() < until <= timezone.now() + LONGEST:
        wrong["until"] = [_("In the future, and at most %(days)s days ahead.") % {"days": LONGEST.days}]
    if not 1 <= uses <= MOST_USES:
        wrong["uses"] = [_("From 1 to %(limit)s.") % {"limit": MOST_USES}]
    if wrong:
        raise Invalid(errors=wrong)
