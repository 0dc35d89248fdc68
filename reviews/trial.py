"""What a rule would have done to the last calls. Reads, and changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from agents.models import Interrupt, ToolCall
from agents.terms import Call, Terms, Verdict
from reviews import policy
from reviews.models import PolicyRule
from reviews.policy import Match

LAST = 100  # calls that are looked at


@dataclass(frozen=True)
class Past:
    """A call that has been made."""

    call: Call
    task: str  # our own id
    key: tuple[str, str]  # message and call: one that was reviewed and then ran is one call
    at: datetime


@dataclass(frozen=True)
class Tried:
    """A past call, and what the rule makes of it."""

    past: Past
    match: Match
    before: Verdict  # of the rules as they are, without this one
    after: Verdict  # with it

    @property
    def changed(self) -> bool:
        """Whether the rule makes a difference to the call."""
        return (self.before.action, self.before.terms) != (self.after.action, self.after.terms)


def tried(rule: PolicyRule, last: int = LAST) -> list[Tried]:
    """The last calls, newest first, under the rules of now with and without this one, which need not be saved.

    It is taken to be switched on and within its time. Rules that are made for one session are left out.
    """
    others = list(PolicyRule.objects.in_force().for_session("").exclude(pk=rule.pk))
    # As the database orders them; one that is new comes after its equals.
    with_it = sorted([*others, rule], key=lambda one: (one.position, one.pk is None, one.pk or 0))
    return [
        Tried(past, policy.matched(rule, past.call), policy.judge(past.call, others), policy.judge(past.call, with_it))
        for past in past_calls(last)
    ]


def past_calls(last: int) -> list[Past]:
    """The last calls that were reviewed or ran, newest first, each once."""
    found: dict[tuple[str, tuple[str, str]], Past] = {}
    reviews = list(_reviewed(last))
    # The ledger does not keep what a free tool declares; what was reviewed tells of its tool.
    known = {past.call.tool: past.call.declared for past in reversed(reviews)}
    for past in [*reviews, *_ran(last, known)]:
        found.setdefault((past.task, past.key), past)
    return sorted(found.values(), key=lambda past: past.at, reverse=True)[:last]


def _reviewed(last: int) -> Iterator[Past]:
    rows = Interrupt.objects.filter(kind=Interrupt.Kind.TOOL_CALL).select_related("task__session")
    for row in rows.order_by("-created_at")[:last]:
        declared = Verdict.from_text(row.verdict_text).declared
        yield _past(row, declared, row.created_at)


def _ran(last: int, known: dict[str, Terms | None]) -> Iterator[Past]:
    rows = ToolCall.objects.select_related("task__session")
    for row in rows.order_by("-started_at")[:last]:
        yield _past(row, known.get(row.tool), row.started_at)


def _past(row: Interrupt | ToolCall, declared: Terms | None, at: datetime) -> Past:
    task = row.task
    call = Call(row.tool, row.args, task.session.user_id, task.agent, declared, str(task.session_id))
    return Past(call, str(task.pk), (row.message_id, row.tool_call_id), at)
