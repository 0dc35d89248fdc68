"""Tables of all status changes of tasks, interrupts and tool calls, and of their causes.

The modules `tasks`, `interrupts` and `tool_calls` make these changes, with conditional updates.
docs/explanation/lifecycle.md has the diagrams of these tables.
"""

from dataclasses import dataclass

from agents.models import Interrupt, Status, ToolCall

Answers = Interrupt.Status
Calls = ToolCall.Status


@dataclass(frozen=True)
class Transition:
    """A possible change and its cause. `source` is empty for a new row, `target` for a deleted one."""

    source: str
    target: str
    cause: str


TASK = (
    Transition("", Status.PENDING, "submitted, the session is free"),
    Transition("", Status.QUEUED, "submitted, the session is busy"),
    Transition(Status.QUEUED, Status.PENDING, "the session is free"),
    Transition(Status.QUEUED, Status.CANCELLED, "cancelled"),
    Transition(Status.PENDING, Status.RUNNING, "claimed by a worker"),
    Transition(Status.PENDING, Status.ERROR, "too many attempts in a row died at one step"),
    Transition(Status.PENDING, Status.CANCELLED, "cancelled"),
    Transition(Status.RUNNING, Status.INTERRUPTED, "the graph asked"),
    Transition(Status.RUNNING, Status.PENDING, "answered meanwhile, lease lapsed, worker drains, or paused"),
    Transition(Status.RUNNING, Status.COMPLETED, "the graph finished"),
    Transition(Status.RUNNING, Status.ERROR, "it failed for good"),
    Transition(Status.RUNNING, Status.CANCELLED, "cancelled"),
    Transition(Status.INTERRUPTED, Status.PENDING, "a question was answered, or a pause was lifted"),
    Transition(Status.INTERRUPTED, Status.CANCELLED, "cancelled"),
)

INTERRUPT = (
    Transition("", Answers.PENDING, "the graph asked"),
    Transition("", Answers.RESPONDED, "about a call in doubt that had already ended"),
    Transition(Answers.PENDING, Answers.APPROVED, "a person approved, or the budget has room again"),
    Transition(Answers.PENDING, Answers.EDITED, "a person approved with other arguments"),
    Transition(Answers.PENDING, Answers.RESPONDED, "a person answered, or the call in doubt ended after all"),
    Transition(Answers.PENDING, Answers.REJECTED, "a person rejected"),
    Transition(Answers.PENDING, Answers.EXPIRED, "nobody decided in time"),
    Transition(Answers.PENDING, Answers.CANCELLED, "its task ended first"),
)

TOOL_CALL = (
    Transition("", Calls.STARTED, "entered, right before it runs"),
    Transition(Calls.STARTED, Calls.STARTED, "run again with the same key"),
    Transition(Calls.STARTED, Calls.SUCCEEDED, "the tool returned, or a person said so"),
    Transition(Calls.STARTED, Calls.FAILED, "the tool failed, or was given up"),
    Transition(Calls.STARTED, "", "the tool asked before it did anything"),
)


def targets(table: tuple[Transition, ...], source: str) -> frozenset[str]:
    """Return the statuses that a row with this status can change to."""
    return frozenset(one.target for one in table if one.source == source)
