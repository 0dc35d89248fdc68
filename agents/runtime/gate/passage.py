"""Passage of a tool call as `decision` says: ask people, enter the call in the ledger, run it, answer the model.

Nothing here keeps state between two runs of a node: LangGraph reruns it from its top after each pause and each crash,
and every decision is read from the database. A call may be part of another one: a sub-agent runs inside the tool that
calls it, and each of its calls has its own row, interrupt and idempotency key.
"""

import json
import logging
from dataclasses import replace
from typing import NoReturn

from langchain_core.messages import ToolMessage
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Interrupt as GraphQuestion

from agents.models import Interrupt, ToolCall
from agents.observability import metrics
from agents.policy import Call, Verdict
from agents.runtime import tool_arguments
from agents.runtime.gate import facts, in_doubt
from agents.runtime.gate.decision import Known, Step, after_policy, next_step
from agents.runtime.gate.execution import CallRequest, Execution, InDoubt, outer_call
from agents.runtime.gate.tool_results import Result, dumped
from agents.runtime.middleware import bounds
from agents.runtime.run_context import Run, RunFailure
from agents.runtime.tool_arguments import ArgumentError, Arguments
from agents.runtime.tool_connection import is_in_transaction, service_connection, tool_connection
from agents.state import interrupts, tool_calls
from core.text import storable

logger = logging.getLogger(__name__)

Kind = Interrupt.Kind
Answer = Interrupt.Status

MAX_ROUNDS = 5  # of asking about the same call
IN_TRANSACTION = (
    "{tool} was called inside an open database transaction, where its entry in the ledger could be undone. "
    "It was not run. Ask the operator to move the call out of the transaction."
)


def go_through(run: Run, request: CallRequest) -> Result:
    """Return the result of the call, or the message in its place.

    Raises:
        RunEnded: the run can't continue. No tool node turns this exception into a message for the model.
        GraphInterrupt: the call waits for a person, or for a pause to be lifted.
    """
    run.require_going()
    try:
        if is_in_transaction():
            raise RunFailure(IN_TRANSACTION.format(tool=request.name))
        with run.holding(), service_connection():
            return Passage(run, request).go()
    except GraphBubbleUp:
        raise
    except Exception as error:
        raise run.ended_by(error) from error
    finally:
        if outer_call() is None:  # otherwise the connection belongs to the enclosing tool
            run.let_go()


class Passage(Execution):
    """Passage of one tool call from the request to its result."""

    def go(self) -> Result:
        """Return the result of the call, or the message in its place."""
        row = tool_calls.find(self.run.task, self.message_id, self.call_id)
        if row is not None:
            return self.entered_before(row)
        asked = self.asked_before(Kind.TOOL_CALL)
        match next_step(Known(review=facts.review_of(asked))), asked:
            case Step.JUDGE_AGREED, Interrupt():
                return self.approved(asked)
            case Step.REPLY, Interrupt():
                return self.refused(asked)
            case Step.WAIT, Interrupt():
                self.ask(asked)
            case Step.JUDGE_NEW, None:
                return self.new()
            case unknown:
                raise ValueError(unknown)

    def new(self) -> Result:
        """Return the result of a call that no person was asked about."""
        if self.request.malformed:
            return self.tell(self.request.malformed, status="error")
        try:
            return self.judged(tool_arguments.read(self.name, self.request.tool, self.request.args))
        except ArgumentError as error:
            return self.tell(str(error), status="error")

    def judged(self, args: Arguments) -> Result:
        """Run, deny or ask about a call that no person was asked about, as the policy says.

        Raises ArgumentError if the call needs a review and its arguments can't be shown as they would run.
        """
        lapsed: set[int | None] = set()
        verdict = self.assessed(args)
        while (step := after_policy(Step.JUDGE_NEW, verdict.action)) is Step.RUN and verdict.rule_id not in lapsed:
            try:
                return self.enter(args, verdict.to_text(), rule_id=verdict.rule_id)
            except tool_calls.RuleLapsed:  # after the policy was asked; another rule may let it in
                logger.info("task %s: %s of %s has lapsed meanwhile", self.run.task.pk, verdict.rule, self.name)
                lapsed.add(verdict.rule_id)
            verdict = self.assessed(args)
        if step is Step.DENY:
            return self.denied(args, verdict)
        bounds.require_unrejected(self.run.task, self.name, args.wire)
        return self.ask(self.question(args, replace(verdict, action="review")))

    def entered_before(self, row: ToolCall) -> Result:
        """Return the stored result of a call in the ledger, or apply or ask for the decision about its outcome."""
        is_open = row.status == ToolCall.Status.STARTED
        asked = self.asked_before(Kind.IN_DOUBT) if is_open else None  # of a closed call nothing has to be known
        known = Known(facts.entry_of(row), facts.is_repeatable(row, self.declaration), facts.outcome_of(asked, row))
        match next_step(known), asked:
            case Step.REPLAY, None:
                return self.stored(row)
            case Step.REPLAY, Interrupt():  # the call ended after all and closed its row
                interrupts.use(asked)
                return self.stored(self.reread(row))
            case Step.JUDGE_AGAIN, _:
                return self.run_again(row, asked)
            case Step.CLOSE, Interrupt():
                return self.closed_by(asked, row)
            case Step.WAIT, Interrupt():
                return self.doubted(row, asked)
            case Step.ASK_OUTCOME, _:
                metrics.count(metrics.TOOL_CALLS, self.name, "in_doubt")
                return self.doubted(row, in_doubt.question(self.run, row, self.request.tool, said=self.request.said))
            case unknown:
                raise ValueError(unknown)

    def closed_by(self, asked: Interrupt, row: ToolCall) -> Result:
        """Close a call in doubt as a person decided, once each call inside it is decided as well."""
        if inner := list(in_doubt.inner_questions(self.run, row)):
            interrupts.use(asked)
            self.ask(*inner)  # the outcome of each must be known, even if nothing runs again
        in_doubt.settle_inner(self.run, row)
        happened = asked.status == Answer.RESPONDED
        text = asked.answer_message if happened else in_doubt.given_up(asked)
        return self.settled(row, asked, text, ToolCall.Status.SUCCEEDED if happened else ToolCall.Status.FAILED)

    def doubted(self, row: ToolCall, asked: Interrupt) -> NoReturn:
        """Ask about the outcome of the call and of the unfinished calls inside it."""
        self.ask(asked, *in_doubt.inner_questions(self.run, row))

    def run_again(self, row: ToolCall, answer: Interrupt | None = None) -> Result:
        """Run a call in doubt once more with the same key, unless the policy now denies it."""
        try:
            args = self.agreed_arguments(row.args_text, edited=self.was_edited())
            if args is None and not row.reviewed:  # no person has seen it; a release may have added a default
                args = tool_arguments.read(self.name, self.request.tool, row.args)
        except ArgumentError as error:
            if answer is None:
                raise RunFailure(str(error)) from error
            return self.settled(row, answer, str(error), ToolCall.Status.FAILED)
        if args is None:
            raise RunFailure(f"The schema of {self.name} has changed, so its call is not run again.")
        verdict = self.assessed(args)
        if after_policy(Step.JUDGE_AGAIN, verdict.action) is Step.RUN_AGAIN:
            return self.execute(tool_calls.enter_again(self.run.attempt, row, answer), args)
        denial = self.denied(args, verdict)
        text = f"{denial.content} It is not known whether it has happened before."
        return self.settled(row, answer, text, ToolCall.Status.FAILED)

    def settled(self, row: ToolCall, answer: Interrupt | None, text: str, status: str) -> Result:
        """Close a call in doubt without running it, and return its stored result."""
        tool_calls.settle(self.run.attempt, row, answer, status, dumped(self.tell(text)))
        return self.stored(self.reread(row), note=False)

    def refused(self, answer: Interrupt) -> Result:
        """Return the message for the model about a call that was answered in its place, rejected or expired."""
        interrupts.use(answer)
        if answer.status == Answer.RESPONDED:
            return self.tell(f"[A person answered in place of the tool] {answer.answer_message}")
        reason = answer.answer_message or "no reason was given"
        who = "nobody decided it in time" if answer.status == Answer.EXPIRED else reason
        return self.tell(f"This call was rejected and has not run: {who}", status="error")

    def approved(self, answer: Interrupt) -> Result:
        """Run exactly what was agreed to, unless the policy now denies it, or ask again.

        The call is asked about again if the approval is too old, its decider may no longer decide, or the tool reads
        something else from an edit, which was checked only against the tool's JSON schema. An approved call needs no
        allow from the policy.
        """
        edited = answer.status == Answer.EDITED
        text = answer.answer_args_text if edited else answer.args_text
        verdict_text = answer.answer_verdict_text if edited else answer.verdict_text
        self.prove(answer, interrupts.digest_of(self.run.task.pk, self.name, text, verdict_text))
        try:
            agreed = self.agreed_arguments(text, edited=edited)
            args = agreed or tool_arguments.read(self.name, self.request.tool, json.loads(text))
        except ArgumentError as error:
            interrupts.use(answer)
            return self.tell(str(error), status="error")
        verdict = self.assessed(args)
        holds = verdict.action != "deny" and agreed is not None and not interrupts.is_stale(answer)
        step = after_policy(Step.JUDGE_AGREED, verdict.action, holds=holds, may_ask=answer.round < MAX_ROUNDS)
        if step is Step.DENY:
            interrupts.use(answer)
            return self.denied(args, verdict)
        if step is Step.RUN:
            return self.enter(args, verdict_text, answer)
        if step is Step.GIVE_UP:
            raise RunFailure(f"The call of {self.name} was reviewed too often: it changed or expired each time.")
        if agreed is not None:  # only the approval is stale: ask again on its own terms
            verdict = Verdict.from_text(verdict_text)
        terms = interrupts.agreed_terms(answer) if verdict.action != "review" else verdict.terms
        again = replace(verdict, action="review", terms=terms)
        return self.ask(self.question(args, again, round_=answer.round + 1))

    def agreed_arguments(self, text: str, *, edited: bool) -> Arguments | None:
        """Return the values for an agreed text, or None if the tool reads a different call from it.

        Raises ArgumentError.
        """
        raw = None if edited or self.request.malformed else self.request.args
        return tool_arguments.agreed(self.name, self.request.tool, raw, text)

    def enter(
        self, args: Arguments, verdict_text: str, answer: Interrupt | None = None, rule_id: int | None = None
    ) -> Result:
        """Enter the call in the ledger and run it. Raises RuleLapsed if the rule no longer allows it."""
        entry = self.entry(args, verdict_text, answer, rule_id)
        return self.execute(tool_calls.enter(self.run.attempt, entry), args)

    def entry(
        self, args: Arguments, verdict_text: str, answer: Interrupt | None = None, rule_id: int | None = None
    ) -> tool_calls.Entry:
        """Return the call's entry for the ledger."""
        args_digest = interrupts.digest_of(self.run.task.pk, self.name, args.text, verdict_text)
        return tool_calls.Entry(
            self.message_id, self.call_id, self.name, args.text, args_digest, answer, rule_id, outer_call()
        )

    def execute(self, row: ToolCall, args: Arguments) -> Result:
        """Run the tool; if the outcome is unknown, ask about it."""
        try:
            return self.perform(row, args)
        except InDoubt:
            return self.entered_before(self.reread(row))

    def prove(self, answer: Interrupt, args_digest: str) -> None:
        """Raise RunFailure unless the call about to run is exactly what was asked and agreed to."""
        asked = interrupts.digest_of(self.run.task.pk, answer.tool, answer.args_text, answer.verdict_text)
        if asked != answer.args_digest or args_digest != answer.answer_digest or answer.tool != self.name:
            logger.error("task %s: review %s was altered after it was decided", self.run.task.pk, answer.pk)
            raise RunFailure(f"The approved call of {self.name} was altered afterwards, so it was not run.")

    def ask(self, *asked: Interrupt) -> NoReturn:
        """Pause this call like LangGraph's `interrupt()`, but without taking an answer.

        `interrupt()` matches answers by their order in the node: a leftover answer would go to the next question, even
        to one that the tool itself asks.
        """
        self.run.asked.append(self.name)
        raise GraphInterrupt(
            tuple(GraphQuestion(interrupts.payload(one), id=interrupts.graph_id(one)) for one in asked),
        )

    def question(self, args: Arguments, verdict: Verdict, *, round_: int = 0) -> Interrupt:
        """Return the question, to be stored when the run has paused. Raises ArgumentError."""
        if not tool_arguments.require_reviewable(self.name, self.request.tool, args):
            allowed = tuple(kind for kind in verdict.terms.allowed if kind != "edit")
            verdict = replace(verdict, terms=replace(verdict.terms, allowed=allowed or ("reject",)))
        return Interrupt(
            kind=Kind.TOOL_CALL,
            message_id=self.message_id,
            tool_call_id=self.call_id,
            round=round_,
            tool=self.name,
            args_text=args.text,
            verdict_text=verdict.to_text(),
            args_digest=interrupts.digest_of(self.run.task.pk, self.name, args.text, verdict.to_text()),
            args_schema=tool_arguments.schema_of(self.request.tool),
            description=self.describe(args),
            said=str(storable(self.request.said)),
            risk=verdict.terms.risk,
        )

    def describe(self, args: Arguments) -> str:
        """Return what the call would do, for the reviewer: the tool's preview if it has one, else its description."""
        if self.declaration.preview is not None:
            try:
                with tool_connection():
                    return str(storable(self.declaration.preview(json.loads(args.text))))
            except Exception:
                logger.exception("the preview of %s failed", self.name)
        return str(storable(self.request.tool.description)) if self.request.tool is not None else ""

    def assessed(self, args: Arguments) -> Verdict:
        """Return the policy's verdict on the call with these arguments."""
        task, agent = self.run.task, self.run.agent
        declared = self.declaration.review
        return agent.policy.judge(
            Call(self.name, args.wire, task.session.user_id, agent.alias, declared, str(task.session_id))
        )

    def denied(self, args: Arguments, verdict: Verdict) -> ToolMessage:
        """Record the denial in the audit log and return the message for the model."""
        tool_calls.deny(self.run.attempt, self.entry(args, verdict.to_text(), rule_id=verdict.rule_id))
        return self.tell(f"This call is denied by policy: {verdict.reason or verdict.rule}", status="error")
