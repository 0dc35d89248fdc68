"""Interrupts about calls in doubt: the worker died in them, or they failed without saying what happened."""

from collections.abc import Iterator

from langchain_core.tools import BaseTool

from agents import questions
from agents.arguments import schema_of
from agents.models import Interrupt, ToolCall
from agents.run import Run
from agents.terms import Terms, Verdict, declaration_of
from agentsite.core.text import storable

RULE = "outcome unknown"


def question(run: Run, row: ToolCall, tool: BaseTool | None, *, said: str = "") -> Interrupt:
    """Return the unsaved interrupt that asks what became of this call."""
    verdict_text = verdict(run, row, tool).to_text()
    return Interrupt(
        kind=Interrupt.Kind.IN_DOUBT,
        message_id=row.message_id,
        tool_call_id=row.tool_call_id,
        round=row.runs - 1,
        tool=row.tool,
        args_text=row.args_text,
        verdict_text=verdict_text,
        args_digest=questions.digest_of(run.task.pk, row.tool, row.args_text, verdict_text),
        args_schema=schema_of(tool),
        description=f"{row.tool} was started and it is not known whether it happened. It is not run again by itself.",
        said=str(storable(said)),
        risk=Verdict.from_text(verdict_text).terms.risk,
    )


def verdict(run: Run, row: ToolCall, tool: BaseTool | None) -> Verdict:
    """Return on which terms it is decided: the call's own without edit; reviewers decide about a free tool."""
    approval = questions.asked_before(run.task, row.message_id, row.tool_call_id, Interrupt.Kind.TOOL_CALL)
    terms = questions.agreed_terms(approval) if approval else Terms()
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
    """Yield the open interrupts about calls that were under way inside this one, at any depth.

    Else they would come up only after a person had said "run it again" of the outer call.
    """
    for inner in ToolCall.objects.filter(task=run.task, outer=row.pk, status=ToolCall.Status.STARTED):
        tool = run.agent.tool(inner.tool)
        asked = questions.asked_before(run.task, inner.message_id, inner.tool_call_id, Interrupt.Kind.IN_DOUBT)
        if asked is not None and asked.round >= inner.runs - 1:
            if asked.answered_at is None:
                yield asked
        elif inner.doubtful or not declaration_of(tool).idempotent:
            yield question(run, inner, tool)
        yield from inner_questions(run, inner)
