"""Decides what becomes of a tool call. Reads nothing and changes nothing: `passage` gathers the facts and acts.

A node of a graph runs again from its top after each pause and each crash, so the same call comes by many times. What
happens next follows from what the database says of it alone, first by `next_step`, and where that asks the policy, by
`after_policy`. docs/execution.md shows both as tables; tests/agents/test_gate_decision.py holds the tables to the code.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Entry(StrEnum):
    """The call's row in the ledger."""

    NONE = "none"
    STARTED = "started"  # it was begun, and its end was not seen
    CLOSED = "closed"  # its result is stored


class Outcome(StrEnum):
    """What people were asked, and have said, of a call whose end was not seen."""

    UNASKED = "nobody was asked"
    OUTDATED = "answered for an earlier run, or by somebody who may not decide any more"
    OPEN = "asked"
    AGAIN = "run it again"
    SAID = "it happened, or it is given up"
    ENDED = "the call ended after all"


class Review(StrEnum):
    """What people were asked, and have said, of a call before it ran."""

    UNASKED = "nobody was asked"
    OPEN = "asked"
    AGREED = "approved or edited"
    REFUSED = "rejected, expired, or answered in its place"


class Step(StrEnum):
    """What is done next."""

    REPLAY = "answer with the stored result"
    WAIT = "wait for the answer"
    ASK_OUTCOME = "ask what became of it"
    CLOSE = "close it with what the person said"
    REPLY = "answer with what the person said"
    JUDGE_NEW = "ask the policy about a new call"
    JUDGE_AGREED = "ask the policy about an agreed call"
    JUDGE_AGAIN = "ask the policy about running it again"
    RUN = "enter it in the ledger and run it"
    RUN_AGAIN = "run it again with the same idempotency key"
    ASK = "ask whether it may run"
    ASK_ANEW = "ask once more whether it may run"
    DENY = "tell the model that it is denied"
    CLOSE_DENIED = "close it as failed: it is denied by now"
    GIVE_UP = "fail the task: it was asked too often"


Action = Literal["allow", "deny", "review"]


@dataclass(frozen=True)
class Known:
    """What the database says of a call."""

    entry: Entry = Entry.NONE
    repeatable: bool = False  # the tool is idempotent, and no run of the call has ended with an error
    outcome: Outcome = Outcome.UNASKED
    review: Review = Review.UNASKED


def next_step(known: Known) -> Step:
    """Return what is done about the call before any policy is asked.

    A call that was entered never counts as new: from then on only its outcome matters.
    """
    match known:
        case Known(entry=Entry.CLOSED):
            return Step.REPLAY
        case Known(entry=Entry.STARTED, outcome=Outcome.UNASKED, repeatable=True):
            return Step.JUDGE_AGAIN
        case Known(entry=Entry.STARTED, outcome=Outcome.UNASKED | Outcome.OUTDATED | Outcome.OPEN):
            return Step.ASK_OUTCOME
        case Known(entry=Entry.STARTED, outcome=Outcome.AGAIN):
            return Step.JUDGE_AGAIN
        case Known(entry=Entry.STARTED, outcome=Outcome.ENDED):
            return Step.REPLAY
        case Known(entry=Entry.STARTED, outcome=Outcome.SAID):
            return Step.CLOSE
        case Known(entry=Entry.NONE, review=Review.UNASKED):
            return Step.JUDGE_NEW
        case Known(entry=Entry.NONE, review=Review.OPEN):
            return Step.WAIT
        case Known(entry=Entry.NONE, review=Review.AGREED):
            return Step.JUDGE_AGREED
        case Known(entry=Entry.NONE, review=Review.REFUSED):
            return Step.REPLY
    raise ValueError(known)  # a state that nobody has thought of runs nothing


def after_policy(step: Step, action: Action, *, holds: bool = True, may_ask: bool = True) -> Step:
    """Return what is done about a call of which `next_step` said that the policy is asked.

    A deny counts at any time. An allow that is gone does not undo an approval.

    Args:
        holds: the approval is young enough, by somebody who may still decide, and the tool still reads the agreed
            arguments as they were shown.
        may_ask: the call may be asked about once more.
    """
    match step, action:
        case Step.JUDGE_NEW | Step.JUDGE_AGREED, "deny":
            return Step.DENY
        case Step.JUDGE_AGAIN, "deny":
            return Step.CLOSE_DENIED
        case Step.JUDGE_AGAIN, "allow" | "review":
            return Step.RUN_AGAIN
        case Step.JUDGE_NEW, "allow":
            return Step.RUN
        case Step.JUDGE_NEW, "review":
            return Step.ASK
        case Step.JUDGE_AGREED, "allow" | "review":
            if holds:
                return Step.RUN
            return Step.ASK_ANEW if may_ask else Step.GIVE_UP
    raise ValueError(f"{step.name}: a policy says allow, deny or review, not {action!r}.")
