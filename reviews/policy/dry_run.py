"""What a rule would have done to the last calls. Reads, and changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User

from agents.models import Interrupt, ToolCall
from agents.policy import Call, Terms, Verdict
from reviews.decisions import permissions
from reviews.models import PolicyRule
from reviews.policy import engine
from reviews.policy.engine import Match

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


def tried(rule: PolicyRule, principal: User, last: int = LAST) -> list[Tried]:
    """The last calls, newest first, under the rules of now with and without this one, which need not be saved.

    Of all calls it holds those that the principal may see.

    It is taken to be switched on and within its time. Rules that are made for one session are left out.
    """
    others = list(PolicyRule.objects.in_force().for_session("").exclude(pk=rule.pk))
    # As the database orders them; one that is new comes after its equals.
    with_it = sorted([*others, rule], key=lambda one: (one.position, one.pk is None, one.pk or 0))
    return [
        Tried(past, engine.matched(rule, past.call), engine.judge(past.call, others), engine.judge(past.call, with_it))
        for past in past_calls(principal, last)
    ]


def past_calls(principal: User, last: int) -> list[Past]:
    """The last calls that were reviewed or ran and that the principal may see, newest first, each once."""
    found: dict[tuple[str, tuple[str, str]], Past] = {}
    for past in [*_reviewed(principal, last), *_ran(principal, last, _declared(last))]:
        found.setdefault((past.task, past.key), past)
    return sorted(found.values(), key=lambda past: past.at, reverse=True)[:last]


def _declared(last: int) -> dict[str, Terms | None]:
    """Tools declare the same for everybody, so this reads all reviews. The ledger does not keep a declaration."""
    rows = Interrupt.objects.filter(kind=Interrupt.Kind.TOOL_CALL).order_by("-created_at")
    found = rows.values_list("tool", "verdict_text")[:last]
    return {tool: Verdict.from_text(text).declared for tool, text in reversed(found)}


def _reviewed(principal: User, last: int) -> Iterator[Past]:
    rows = permissions.visible(principal).filter(kind=Interrupt.Kind.TOOL_CALL)
    for row in rows.order_by("-created_at")[:last]:
        declared = Verdict.from_text(row.verdict_text).declared
        yield _past(row, declared, row.created_at)


def _ran(principal: User, last: int, known: dict[str, Terms | None]) -> Iterator[Past]:
    for row in permissions.visible_calls(principal).order_by("-started_at")[:last]:
        yield _past(row, known.get(row.tool), row.started_at)


def _past(row: Interrupt | ToolCall, declared: Terms | None, at: datetime) -> Past:
    task = row.task
    call = Call(row.tool, row.args, task.session.user_id, task.agent, declared, str(task.session_id))
    return Past(call, str(task.pk), (row.message_id, row.tool_call_id), at)
