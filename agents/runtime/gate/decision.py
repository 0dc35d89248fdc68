"""Pure decision rules for tool calls: `passage` gathers the facts and carries out the decision.

LangGraph reruns a node from its top after each pause and each crash, so the same call is decided many times. The next
step depends only on what the database says about the call, and on whether its tool declares to be idempotent:
`next_step` decides first, and where that asks the policy, `after_policy` decides. docs/explanation/execution.md shows
both as tables, which tests/agents/test_gate_decision.py checks.
"""

from dataclasses import dataclass
from enum import StrEnum

from agents.policy import Action


class LedgerState(StrEnum):
    """State of the call's row in the ledger."""

    NONE = "none"
    STARTED = "started"  # it began, and its end was not recorded
    CLOSED = "closed"  # its result is stored


class OutcomeState(StrEnum):
    """State of the question about a call whose end was not recorded."""

    UNASKED = "nobody was asked"
    OUTDATED = "answered for an earlier run, or by somebody who may not decide any more"
    OPEN = "asked"
    AGAIN = "run it again"
    SAID = "it happened, or it is given up"
    ENDED = "the call ended after all"


class ReviewState(StrEnum):
    """State of the question whether a call may run."""

    UNASKED = "nobody was asked"
    OPEN = "asked"
    AGREED = "approved or edited"
    REFUSED = "rejected, expired, or answered in its place"


class Step(StrEnum):
    """Next step for a call."""

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


@dataclass(frozen=True)
class Known:
    """Facts about a call, read from the database."""

    entry: LedgerState = LedgerState.NONE
    repeatable: bool = False  # the tool is idempotent, and the call's row is not marked doubtful
    outcome: OutcomeState = OutcomeState.UNASKED
    review: ReviewState = ReviewState.UNASKED


def next_step(known: Known) -> Step:
    """Return the next step for the call before any policy is asked.

    A call that is in the ledger never counts as new: only its outcome matters.
    """
    match known:
        case Known(entry=LedgerState.CLOSED):
            return Step.REPLAY
        case Known(entry=LedgerState.STARTED, outcome=OutcomeState.UNASKED, repeatable=True):
            return Step.JUDGE_AGAIN
        case Known(entry=LedgerState.STARTED, outcome=OutcomeState.UNASKED | OutcomeState.OUTDATED):
            return Step.ASK_OUTCOME
        case Known(entry=LedgerState.STARTED, outcome=OutcomeState.OPEN):
            return Step.WAIT
        case Known(entry=LedgerState.STARTED, outcome=OutcomeState.AGAIN):
            return Step.JUDGE_AGAIN
        case Known(entry=LedgerState.STARTED, outcome=OutcomeState.ENDED):
            return Step.REPLAY
        case Known(entry=LedgerState.STARTED, outcome=OutcomeState.SAID):
            return Step.CLOSE
        case Known(entry=LedgerState.NONE, review=ReviewState.UNASKED):
            return Step.JUDGE_NEW
        case Known(entry=LedgerState.NONE, review=ReviewState.OPEN):
            return Step.WAIT
        case Known(entry=LedgerState.NONE, review=ReviewState.AGREED):
            return Step.JUDGE_AGREED
        case Known(entry=LedgerState.NONE, review=ReviewState.REFUSED):
            return Step.REPLY
    raise ValueError(known)  # an unexpected state runs nothing


def after_policy(step: Step, action: Action, *, holds: bool = True, may_ask: bool = True) -> Step:
    """Return the next step for a call for which `next_step` asked the policy.

    A deny always applies. An approved call needs no allow from the policy.

    Args:
        holds: whether the approval is recent enough, its decider may still decide, and the tool still reads the agreed
            arguments as they were shown.
        may_ask: whether people may be asked about the call once more.
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
