"""Evaluation of the policy rules: whether a tool call is allowed, denied or reviewed, and under which terms.

A deny that matches; else the first PolicyRule that matches; else the tool's own declaration; else review by reviewers.
Reviewers also decide a call that can't be judged, so that an error here never lets a call through.
"""

import enum
import logging
import uuid
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from agents.policy import REQUESTER, REVIEWERS, Call, Terms, Verdict
from core.db.compiled import Compiled
from core.db.connections import is_away
from reviews.models import PolicyRule
from reviews.policy import conditions

logger = logging.getLogger(__name__)

DECLARED_FREE = "declared free"
DECLARED = "declared by the tool"
FAILED = "the policy could not be evaluated"
UNCLEAR = " (unclear)"  # suffix of a rule that could not be judged
RISKS = ("low", "medium", "high")

Effect = PolicyRule.Effect
_OF_SESSION = Compiled[PolicyRule](lambda session: PolicyRule.objects.in_force().for_session(session))
_OF_NONE = Compiled[PolicyRule](lambda: PolicyRule.objects.in_force().for_session(""))


class Match(enum.Enum):
    """Result of matching a rule against a call."""

    NO = "no"
    YES = "yes"
    UNSURE = "unsure"  # the names match, but the conditions can't be judged: an argument is absent or of another type
    BROKEN = "broken"  # evaluating the rule raised an error


def assess(call: Call) -> Verdict:
    """Return the verdict on this call. The rules are read for each call, so a new deny applies at once.

    Raises:
        OperationalError, InterfaceError, InternalError: the database is away; the task continues when it is back.
    """
    try:
        return judge(call, _OF_SESSION(uuid.UUID(call.session)) if call.session else _OF_NONE())
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("the policy failed on a call of %s: reviewers decide it", call.tool)
        return Verdict("review", FAILED, strict(call.declared), call.declared)


def judge(call: Call, rules: Iterable[PolicyRule]) -> Verdict:
    """Return the verdict of these rules, which must be in force and in order, and of the tool's declaration."""
    rules = list(rules)
    broken: PolicyRule | None = None
    for rule in (one for one in rules if one.effect == Effect.DENY):
        match = matched(rule, call)
        if match in (Match.YES, Match.UNSURE):
            terms = strict(call.declared)
            return Verdict("deny", str(rule), terms, call.declared, reason=rule.reason, rule_id=rule.pk)
        broken = rule if match is Match.BROKEN else broken
    if broken is not None:
        return _to_reviewers(call, broken, call.declared)
    for rule in (one for one in rules if one.effect != Effect.DENY):
        match = matched(rule, call)
        if match is Match.BROKEN:
            return _to_reviewers(call, rule, call.declared)
        if match is Match.YES and rule.effect == Effect.ALLOW:
            return Verdict("allow", str(rule), strict(call.declared), call.declared, rule_id=rule.pk)
        if match is Match.YES:
            return Verdict("review", str(rule), rule.terms(), call.declared, rule_id=rule.pk)
        if match is Match.UNSURE and rule.effect == Effect.REVIEW:
            return _to_reviewers(call, rule, rule.terms(), call.declared)
    return declared(call)


def declared(call: Call) -> Verdict:
    """Return the verdict of the tool's declaration, which by default asks for a review by reviewers."""
    if call.declared is None:
        return Verdict("allow", DECLARED_FREE, Terms(), None)
    return Verdict("review", DECLARED, call.declared, call.declared)


def matched(rule: PolicyRule, call: Call) -> Match:
    """Return how the rule matches this call.

    If a path refers to the items of a list, an allow requires all of them to match; the other effects require one.
    """
    try:
        names = ((call.tool, rule.tool), (call.user_id, rule.user), (call.agent, rule.agent))
        if not all(fnmatchcase(name, pattern) for name, pattern in names):
            return Match.NO
        if rule.session_id is not None and str(rule.session_id) != call.session:
            return Match.NO
        wanted, every = rule.checked_conditions(), rule.effect == Effect.ALLOW
        if conditions.hold(wanted, call.args, sure=True, every_item=every):
            return Match.YES
        return Match.UNSURE if conditions.hold(wanted, call.args, sure=False, every_item=every) else Match.NO
    except Exception:
        logger.exception("%s failed on a call of %s: reviewers decide it", rule, call.tool)
        return Match.BROKEN


def strict(*known: Terms | None) -> Terms:
    """Return the first of these terms, with reviewers in place of the requester.

    Their risk is the highest of all, and they are `distinct` if any of the terms is.
    """
    all_terms = [terms for terms in known if terms is not None] or [Terms()]
    first = all_terms[0]
    return replace(
        first,
        risk=max((terms.risk for terms in all_terms), key=RISKS.index),
        deciders=tuple(one for one in first.deciders if one != REQUESTER) or (REVIEWERS,),
        distinct=any(terms.distinct for terms in all_terms),
    )


def _to_reviewers(call: Call, rule: PolicyRule, *known: Terms | None) -> Verdict:
    return Verdict("review", f"{rule}{UNCLEAR}", strict(*known), call.declared, rule_id=rule.pk)
