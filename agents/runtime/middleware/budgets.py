"""Budgets at a call of the model: ask a person once one is used up, and end the task with an answer if told to.

The question is an interrupt like those of the gate: it is stored, and its answer is read from the database. A node that
runs again after a crash finds both. Whether there is room is checked where the request is entered (`metering`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain.agents.middleware import ModelRequest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt as GraphQuestion

from agents.models import Budget, Interrupt
from agents.policy import GROUP, REQUESTER, REVIEWERS, Terms, Verdict
from agents.runtime.run_context import Run, RunFailure
from agents.state import interrupts
from agents.state.budgets import Breach, State
from agents.usage import budget_texts
from core.text import canonical

Kind = Interrupt.Kind
Status = Interrupt.Status

MODEL = "the model"  # in place of a tool's name, where a node swallows the question
SUM_UP = (
    "[The budget of this task is used up. This is your last answer: you can use no tools. Answer with what you have "
    "found so far, and say what is missing.]"
)
TOLD = " [A person adds: {text}]"
NO_SUMMARY = "The task was ended because its budget was used up, and the model had no answer without further tools."


def end_of(run: Run) -> Interrupt | None:
    """Return the decision that the task ends with what there is, or None. At most one query in a run.

    A first attempt has asked nothing. All decisions about budgets count as used now: the run acts on them.
    """
    if not run.are_budgets_read and run.attempt.token > 1:
        rows = Interrupt.objects.filter(task=run.task, kind=Kind.BUDGET, answered_at__isnull=False)
        for row in rows.order_by("answered_at"):
            if row.status == Status.RESPONDED:
                run.budget_end = row
            if row.used_at is None:
                interrupts.use(row)
    run.are_budgets_read = True
    return run.budget_end


def last_request(request: ModelRequest[Run], end: Interrupt) -> ModelRequest[Run]:
    """Return the request without tools, and with the instruction to sum up."""
    text = SUM_UP + (TOLD.format(text=end.answer_message) if end.answer_message else "")
    messages = [*request.messages, HumanMessage(text)]
    return request.override(tools=[], tool_choice=None, response_format=None, messages=messages)


def without_calls(message: BaseMessage) -> BaseMessage:
    """Return the last answer as words alone: tools that the model asks for all the same are not called."""
    if not isinstance(message, AIMessage) or not (message.tool_calls or message.invalid_tool_calls):
        return message
    return AIMessage(
        message.text.strip() or NO_SUMMARY,
        id=message.id,
        name=message.name,
        usage_metadata=message.usage_metadata,
        response_metadata=message.response_metadata,
    )


@contextmanager
def asking(run: Run) -> Iterator[None]:
    """Turn Breach into the question whether the task may go on, or end the run if the budget says so."""
    try:
        yield
    except Breach as breach:
        state = breach.state
        if state.budget.breach == Budget.Breach.STOP:
            raise RunFailure(budget_texts.refusal(state)) from breach
        question = _question(run, state)
        run.let_go()
        run.asked.append(MODEL)
        asked = GraphQuestion(interrupts.payload(question), id=interrupts.graph_id(question))
        raise GraphInterrupt((asked,)) from breach


def _question(run: Run, state: State) -> Interrupt:
    """Return the open question about this budget and period, or a new one if there is none."""
    budget = state.budget
    place = (f"budget:{budget.pk}", f"{budget.period}:{budget.period_at(run.attempt.started_at):%Y-%m-%d}")
    before = interrupts.asked_before(run.task, *place, Kind.BUDGET)
    if before is not None and before.status == Status.PENDING:
        return before
    args_text = canonical(_about(state))
    verdict_text = Verdict("review", f"budget: {budget}", _terms(budget)).to_text()
    return Interrupt(
        kind=Kind.BUDGET,
        message_id=place[0],
        tool_call_id=place[1],
        round=before.round + 1 if before is not None else 0,
        args_text=args_text,
        verdict_text=verdict_text,
        args_digest=interrupts.digest_of(run.task.pk, "", args_text, verdict_text),
        description=budget_texts.used_up(state),
        risk=_terms(budget).risk,
    )


def _about(state: State) -> dict[str, Any]:
    budget = state.budget
    return {
        "budget_id": str(budget.pk),
        "budget": budget.name,
        "scope": budget.scope,
        "period": budget.period,
        "unit": budget.unit,
        **({"currency": budget_texts.unit_of(budget)} if budget.unit == Budget.Unit.MONEY else {}),
        "limit": budget_texts.plain(state.limit),
        "used": budget_texts.plain(state.used),
        "expected": budget_texts.plain(state.expected),
        "extension": budget_texts.plain(budget.limit),  # of an `accept` without an amount
    }


def _terms(budget: Budget) -> Terms:
    deciders = f"{GROUP}{budget.deciders.name}" if budget.deciders is not None else REVIEWERS
    return Terms(
        deciders=(deciders, REQUESTER) if budget.requester_may_extend else (deciders,),
        distinct=not budget.requester_may_extend,
        on_expiry="wait",
        allowed=("accept", "response", "reject"),
    )
