"""Facts for a decision, derived from the rows of a call."""

from agents.models import Interrupt, ToolCall
from agents.runtime.gate import in_doubt
from agents.runtime.gate.decision import Outcome, Review


def review_of(asked: Interrupt | None) -> Review:
    """Return the state of the question whether the call may run."""
    if asked is None:
        return Review.UNASKED
    if asked.answered_at is None:
        return Review.OPEN
    return Review.AGREED if asked.status in (Interrupt.Status.APPROVED, Interrupt.Status.EDITED) else Review.REFUSED


def outcome_of(asked: Interrupt | None, row: ToolCall) -> Outcome:
    """Return the state of the newest question about this call's outcome."""
    if asked is None:
        return Outcome.UNASKED
    if in_doubt.is_over(asked, row):
        return Outcome.OUTDATED
    if asked.answered_at is None:
        return Outcome.OPEN
    if asked.status == Interrupt.Status.APPROVED:
        return Outcome.AGAIN
    if asked.status == Interrupt.Status.RESPONDED and asked.answered_by == "system":
        return Outcome.ENDED
    return Outcome.SAID
