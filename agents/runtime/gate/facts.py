"""Facts for a decision, derived from the rows of a call."""

from agents.models import Interrupt, ToolCall
from agents.policy import Declaration
from agents.runtime.gate import in_doubt
from agents.runtime.gate.decision import LedgerState, OutcomeState, ReviewState
from agents.state.interrupts import is_closed_by_itself


def entry_of(row: ToolCall) -> LedgerState:
    """Return how far the call is in the ledger."""
    return LedgerState.STARTED if row.status == ToolCall.Status.STARTED else LedgerState.CLOSED


def is_repeatable(row: ToolCall, declaration: Declaration) -> bool:
    """Return whether the call may run again without a person's word."""
    return declaration.idempotent and not row.doubtful


def review_of(asked: Interrupt | None) -> ReviewState:
    """Return the state of the question whether the call may run."""
    if asked is None:
        return ReviewState.UNASKED
    if asked.answered_at is None:
        return ReviewState.OPEN
    return (
        ReviewState.AGREED
        if asked.status in (Interrupt.Status.APPROVED, Interrupt.Status.EDITED)
        else ReviewState.REFUSED
    )


def outcome_of(asked: Interrupt | None, row: ToolCall) -> OutcomeState:
    """Return the state of the newest question about this call's outcome."""
    if asked is None:
        return OutcomeState.UNASKED
    if in_doubt.is_over(asked, row):
        return OutcomeState.OUTDATED
    if asked.answered_at is None:
        return OutcomeState.OPEN
    if asked.status == Interrupt.Status.APPROVED:
        return OutcomeState.AGAIN
    if asked.status == Interrupt.Status.RESPONDED and is_closed_by_itself(asked):
        return OutcomeState.ENDED
    return OutcomeState.SAID
