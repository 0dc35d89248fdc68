"""Interrupts about calls in doubt: the worker died during the call, or the tool failed without a clear outcome."""

from collections.abc import Iterator

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool

from agents.models import Interrupt, ToolCall
from agents.policy import Terms, Verdict, declaration_of
from agents.runtime.gate.tool_results import dumped
from agents.runtime.run_context import Run
from agents.runtime.tool_arguments import schema_of
from agents.state import interrupts, tool_calls
from core.text import storable

RULE = "outcome unknown"
NOT_AGAIN = "It is not known whether this call happened. It is not run again, nor is the call that it was part of."
RUNS = 1_000  # a round is the run's number from 0, plus RUNS for each time that the same run is asked about again


def is_over(asked: Interrupt, row: ToolCall) -> bool:
    """Return whether to ask again: the call has run since, or the person who approved it may no longer decide."""
    if asked.round % RUNS < row.runs - 1:
        return True
    return asked.status == Interrupt.Status.APPROVED and interrupts.has_lost_decider(asked)


def question(run: Run, row: ToolCall, tool: BaseTool | None, *, said: str = "") -> Interrupt:
    """Return the unsaved interrupt that asks about the outcome of this call."""
    verdict_text = verdict(run, row, tool).to_text()
    return Interrupt(
        kind=Interrupt.Kind.IN_DOUBT,
        message_id=row.message_id,
        tool_call_id=row.tool_call_id,
        round=_next_round(run, row),
        tool=row.tool,
        args_text=row.args_text,
        verdict_text=verdict_text,
        args_digest=interrupts.digest_of(run.task.pk, row.tool, row.args_text, verdict_text),
        args_schema=schema_of(tool),
        description=f"{row.tool} was started, but it is unknown whether it happened. It is not retried automatically.",
        said=str(storable(said)),
        risk=Verdict.from_text(verdict_text).terms.risk,
    )


def verdict(run: Run, row: ToolCall, tool: BaseTool | None) -> Verdict:
    """Return the verdict for the question: the call's agreed terms, without edit and without rejection on expiry.

    Reviewers decide about a call that had no review.
    """
    approval = interrupts.asked_before(run.task, row.message_id, row.tool_call_id, Interrupt.Kind.TOOL_CALL)
    terms = interrupts.agreed_terms(approval) if approval else Terms()
    doubtful = Terms(
        risk=terms.risk,
        deciders=terms.deciders,
        distinct=terms.distinct,
        seconds=terms.seconds,
        on_expiry="wait",
        allowed=("accept", "response", "reject"),
    )
    return Verdict("review", RULE, doubtful, declaration_of(tool).review)


def inner_questions(run: Run, row: ToolCall) -> Iterator[Interrupt]:
    """Yield the undecided interrupts, stored or new, about unfinished calls inside this one, at any depth.

    Otherwise they would be asked only after a person decided to run the outer call again.
    """
    for inner in ToolCall.objects.filter(task=run.task, outer=row.pk, status=ToolCall.Status.STARTED):
        tool = run.agent.tool(inner.tool)
        asked = interrupts.asked_before(run.task, inner.message_id, inner.tool_call_id, Interrupt.Kind.IN_DOUBT)
        if asked is not None and not is_over(asked, inner):
            if asked.answered_at is None:
                yield asked
        elif inner.doubtful or not declaration_of(tool).idempotent:
            yield question(run, inner, tool)
        yield from inner_questions(run, inner)


def settle_inner(run: Run, row: ToolCall) -> None:
    """Close the unfinished calls inside one that will not run again, each by the decision about it, if any."""
    for inner in ToolCall.objects.filter(task=run.task, outer=row.pk, status=ToolCall.Status.STARTED):
        settle_inner(run, inner)
        asked = interrupts.asked_before(run.task, inner.message_id, inner.tool_call_id, Interrupt.Kind.IN_DOUBT)
        status, text = ToolCall.Status.FAILED, NOT_AGAIN
        if asked is not None and asked.status == Interrupt.Status.RESPONDED:
            status, text = ToolCall.Status.SUCCEEDED, asked.answer_message
        elif asked is not None and asked.status == Interrupt.Status.REJECTED:
            text = given_up(asked)
        message = ToolMessage(storable(text), name=inner.tool, tool_call_id=inner.tool_call_id)
        tool_calls.settle(run.attempt, inner, asked, status, dumped(message))


def given_up(answer: Interrupt) -> str:
    """Return the message for the model: the outcome is unknown, and the call must not be tried again."""
    reason = f": {answer.answer_message}" if answer.answer_message else ""
    return f"It is not known whether this call happened, and a person gave it up{reason}. Do not try it again."


def _next_round(run: Run, row: ToolCall) -> int:
    last = interrupts.asked_before(run.task, row.message_id, row.tool_call_id, Interrupt.Kind.IN_DOUBT)
    if last is None:
        return row.runs - 1
    round_ = last.round // RUNS * RUNS + row.runs - 1
    return round_ if round_ > last.round else round_ + RUNS
