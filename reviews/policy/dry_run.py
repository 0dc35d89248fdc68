"""Read-only trial of a policy rule on the most recent calls."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User

from agents import config
from agents.models import Interrupt, ToolCall
from agents.policy import Call, Terms, Verdict
from reviews.decisions import permissions
from reviews.models import AuditEntry, PolicyRule
from reviews.policy import engine
from reviews.policy.engine import Match
from reviews.policy.plugin import RulesPolicy

LAST = 100  # calls to try


@dataclass(frozen=True)
class Past:
    """Call that was made in the past."""

    call: Call
    task: str  # our own id
    key: tuple[str, str]  # message and tool call id: a call that was reviewed and then ran counts once
    at: datetime


@dataclass(frozen=True)
class Tried:
    """Past call and the effect of the rule on it."""

    past: Past
    match: Match
    before: Verdict  # under the current rules, without this one
    after: Verdict  # with it

    @property
    def changed(self) -> bool:
        """Return whether the rule changes the action or the terms of the verdict."""
        return (self.before.action, self.before.terms) != (self.after.action, self.after.terms)


def tried(rule: PolicyRule, principal: User, last: int = LAST) -> list[Tried]:
    """Return what the rule would have done to the last `last` calls that the principal may see, newest first."""
    others = list(PolicyRule.objects.in_force().for_session("").exclude(pk=rule.pk))
    # In the order of the database; an unsaved rule comes last among those of its position.
    with_it = sorted([*others, rule], key=lambda one: (one.position, one.pk is None, one.pk or 0))
    return [
        Tried(past, engine.matched(rule, past.call), engine.judge(past.call, others), engine.judge(past.call, with_it))
        for past in past_calls(principal, last)
    ]


def past_calls(principal: User, last: int) -> list[Past]:
    """Return the last calls that were reviewed or ran and that the principal may see, newest first, each once."""
    found: dict[tuple[str, tuple[str, str]], Past] = {}
    for past in [*_reviewed(principal, last), *_ran(principal, last, _declared(last))]:
        found.setdefault((past.task, past.key), past)
    return sorted(found.values(), key=lambda past: past.at, reverse=True)[:last]


def _declared(last: int) -> dict[str, Terms | None]:
    """Return each tool's latest declared terms, from the last reviews, because the ledger does not store them.

    It reads the reviews of all users, because a tool's declaration is the same for everybody.
    """
    rows = Interrupt.objects.filter(kind=Interrupt.Kind.TOOL_CALL).order_by("-created_at")
    found = rows.values_list("tool", "verdict_text")[:last]
    return {tool: Verdict.from_text(text).declared for tool, text in reversed(found)}


def _reviewed(principal: User, last: int) -> Iterator[Past]:
    rows = permissions.visible(principal).filter(kind=Interrupt.Kind.TOOL_CALL)
    for row in rows.order_by("-created_at")[:last]:
        declared = Verdict.from_text(row.verdict_text).declared
        yield _past(row, declared, row.created_at)


def _ran(principal: User, last: int, known: dict[str, Terms | None]) -> Iterator[Past]:
    rows = list(permissions.visible_calls(principal).order_by("-started_at")[:last])
    entries = AuditEntry.objects.filter(verb=AuditEntry.Verb.LET_THROUGH, object_id__in=[str(row.pk) for row in rows])
    by_rule = set(entries.values_list("object_id", flat=True))
    for row in rows:
        # Of a tool without a recent review. Under the rules, a call that ran without a review and without a rule was
        # declared free; what a policy of one's own let through may be anything.
        is_free = not row.reviewed and str(row.pk) not in by_rule and _judged_by_rules(row.task.agent)
        guess = None if is_free else Terms()
        yield _past(row, known.get(row.tool, guess), row.started_at)


def _judged_by_rules(agent: str) -> bool:
    try:
        return isinstance(config.policy(agent), RulesPolicy)
    except config.Misconfigured:  # the agent is gone from the settings
        return False


def _past(row: Interrupt | ToolCall, declared: Terms | None, at: datetime) -> Past:
    task = row.task
    call = Call(row.tool, row.args, task.session.user_id, task.agent, declared, str(task.session_id))
    return Past(call, str(task.pk), (row.message_id, row.tool_call_id), at)
