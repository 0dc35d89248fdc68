"""The gate that every tool call passes: ledger, stored question, policy, interrupt, digest, ledger entry, tool.

Nothing here remembers anything between two runs of the node: LangGraph runs it again from its top after each pause and
each crash, and every decision is read from the database.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn, cast

from django.conf import settings
from django.db import connection
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import ToolException
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Interrupt as GraphQuestion
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from agents import failpoints, ledger, metrics, questions, tracing
from agents.arguments import ArgumentError, schema_of, validated
from agents.context import CallContext, running
from agents.graphs.model_calls import BROKEN_CALLS
from agents.graphs.results import Result, dumped, is_body_error, loaded
from agents.models import Interrupt, ToolCall
from agents.run import Run, RunFailure
from agents.terms import Call, Declaration, Terms, Verdict, declaration_of
from agentsite.core.database import is_away
from agentsite.core.text import canonical, same, storable

logger = logging.getLogger(__name__)

Handler = Callable[[ToolCallRequest], Result]
Kind = Interrupt.Kind
Answer = Interrupt.Status

MAX_ROUNDS = 5  # of asking the same call again


class Gate(AgentMiddleware[Any, Run, Any]):
    """One per graph; each call gets a `Passage` of its own."""

    def wrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> Result:
        """Source: AgentMiddleware. Raises StaleAttempt, RunFailure and LangGraph's own interrupts."""
        run = cast(Run, request.runtime.context)
        try:
            return Passage(run, request, handler).go()
        finally:
            run.let_go()


class Passage:
    """One tool call on its way through the gate."""

    def __init__(self, run: Run, request: ToolCallRequest, handler: Handler) -> None:
        self.run = run
        self.request = request
        self.handler = handler
        self.name: str = request.tool_call["name"]
        self.call_id: str = request.tool_call["id"] or ""
        self.message = _message_of(request.state["messages"], self.call_id)
        self.message_id = self.message.id or ""
        self.declaration: Declaration = declaration_of(request.tool)

    def go(self) -> Result:
        """The result of the call, or of what a person decided about it."""
        row = ledger.find(self.run.task, self.message_id, self.call_id)
        if row is not None:
            return self.replay(row)
        asked = self.asked_before(Kind.TOOL_CALL)
        if asked is not None:
            return self.obey(self.answered(asked))
        try:
            args = self.validated(self.request.tool_call["args"])
        except ArgumentError as error:
            return self.tell(str(error), status="error")
        return self.judged(args)

    def judged(self, args: dict[str, Any]) -> Result:
        """Do what the policy says of a call that nobody has been asked about."""
        for _ in range(MAX_ROUNDS):
            verdict = self.assessed(args)
            if verdict.action == "deny":
                return self.denied(args, verdict)
            if verdict.action == "review":
                break
            try:
                return self.enter(canonical(args), verdict.to_text(), rule_id=verdict.rule_id)
            except ledger.RuleLapsed:  # others have used it up since it was looked at
                logger.info("task %s: %s of %s has lapsed meanwhile", self.run.task.pk, verdict.rule, self.name)
        return self.ask(self.question(Kind.TOOL_CALL, canonical(args), replace(verdict, action="review")))

    def replay(self, row: ToolCall) -> Result:
        """A call that was entered before: its stored result, or the question what became of it."""
        if row.status != ToolCall.Status.STARTED:
            return self.stored(row)
        asked = self.asked_before(Kind.IN_DOUBT)
        if asked is None and self.declaration.idempotent and not row.doubtful:
            return self.execute(ledger.enter_again(self.run.attempt, row))
        if asked is None or asked.round < row.runs - 1:
            metrics.count(metrics.TOOL_CALLS, self.name, "in_doubt")
            return self.ask(self.question(Kind.IN_DOUBT, row.args_text, self.doubt(), round_=row.runs - 1))
        answer = self.answered(asked)
        if answer.status == Answer.APPROVED:
            return self.execute(ledger.enter_again(self.run.attempt, row, answer))
        if answer.status == Answer.RESPONDED and answer.answered_by == "system":
            ledger.use(answer)  # the call ended after all and closed its row
            return self.stored(self.reread(row))
        happened = answer.status == Answer.RESPONDED
        text = answer.answer_message if happened else _given_up(answer)
        status = ToolCall.Status.SUCCEEDED if happened else ToolCall.Status.FAILED
        ledger.settle(self.run.attempt, row, answer, status, dumped(self.tell(text)))
        return self.stored(self.reread(row), note=False)

    def obey(self, answer: Interrupt) -> Result:
        """Do what the person decided."""
        if answer.status in (Answer.APPROVED, Answer.EDITED):
            return self.approved(answer)
        ledger.use(answer)
        if answer.status == Answer.RESPONDED:
            return self.tell(f"[A person answered in place of the tool] {answer.answer_message}")
        reason = answer.answer_message or "no reason was given"
        who = "nobody decided it in time" if answer.status == Answer.EXPIRED else reason
        return self.tell(f"This call was rejected and has not run: {who}", status="error")

    def approved(self, answer: Interrupt) -> Result:
        """Run exactly what was agreed to, or ask again: it is too long ago, or the tool takes it for something else.

        An edit was held against the tool's JSON schema only; what its own validation makes of it is another call.
        """
        edited = answer.status == Answer.EDITED
        text = answer.answer_args_text if edited else answer.args_text
        verdict_text = answer.answer_verdict_text if edited else answer.verdict_text
        self.prove(answer, questions.digest_of(self.run.task.pk, self.name, text, verdict_text))
        verdict = Verdict.from_text(verdict_text)
        try:
            args = self.validated(json.loads(text))
        except ArgumentError as error:
            ledger.use(answer)
            return self.tell(str(error), status="error")
        if not same(args, json.loads(text)):  # an edit has its keys in the order of a schema from a JSON column
            verdict = self.assessed(args)
            if verdict.action == "deny":
                ledger.use(answer)
                return self.denied(args, verdict)
        elif not questions.is_stale(answer):
            return self.enter(text, verdict_text, answer)
        if answer.round >= MAX_ROUNDS:
            raise RunFailure(f"The call of {self.name} was asked too often: it changed or expired each time.")
        terms = questions.agreed_terms(answer) if verdict.action != "review" else verdict.terms
        again = replace(verdict, action="review", terms=terms)
        return self.ask(self.question(Kind.TOOL_CALL, canonical(args), again, round_=answer.round + 1))

    def enter(
        self, args_text: str, verdict_text: str, answer: Interrupt | None = None, rule_id: int | None = None
    ) -> Result:
        """Enter the call in the ledger, and run it. Raises RuleLapsed where the rule's word does not hold any more."""
        entry = self.entry(args_text, verdict_text, answer, rule_id)
        return self.execute(ledger.enter(self.run.attempt, entry))

    def entry(
        self, args_text: str, verdict_text: str, answer: Interrupt | None = None, rule_id: int | None = None
    ) -> ledger.Entry:
        """What the ledger is to know of this call."""
        args_digest = questions.digest_of(self.run.task.pk, self.name, args_text, verdict_text)
        return ledger.Entry(self.message_id, self.call_id, self.name, args_text, args_digest, answer, rule_id)

    def prove(self, answer: Interrupt, args_digest: str) -> None:
        """Raises RunFailure unless exactly what was asked and agreed to is about to run."""
        asked = questions.digest_of(self.run.task.pk, answer.tool, answer.args_text, answer.verdict_text)
        if asked != answer.args_digest or args_digest != answer.answer_digest or answer.tool != self.name:
            logger.error("task %s: review %s was altered after it was decided", self.run.task.pk, answer.pk)
            raise RunFailure(f"The approved call of {self.name} was altered afterwards, so it was not run.")

    def execute(self, row: ToolCall) -> Result:
        """Run the tool and write what became of it."""
        args = row.args
        request = self.request.override(tool_call={**self.request.tool_call, "args": args})
        context = self.context(row)
        self.run.let_go()  # a tool may take minutes, and a connection held meanwhile is missing elsewhere
        try:
            failpoints.here("before-call")
            with running(context), tracing.tool_call(self.name, asks=GraphBubbleUp):
                result = self.handler(request)
                failpoints.here("after-call")
                if is_body_error(result):
                    raise ValueError(str(result.content))  # type: ignore[union-attr]
        except GraphInterrupt:
            ledger.take_back(row)
            raise
        except GraphBubbleUp as error:  # a command for a parent graph: the tool has run
            self.close(row, ToolCall.Status.SUCCEEDED, dumped(self.tell(str(error))))
            raise
        except ToolException as error:
            return self.failed(row, str(error))
        except Exception as error:
            logger.exception("task %s: tool %s failed", self.run.task.pk, self.name)
            if row.reviewed and not self.declaration.idempotent:
                ledger.mark_doubtful(row)
                return self.replay(self.reread(row))
            return self.failed(row, f"{type(error).__name__}: {error}")
        text = dumped(result)
        if not self.close(row, ToolCall.Status.SUCCEEDED, text):
            return self.stored(self.reread(row))
        row.status, row.result_text = ToolCall.Status.SUCCEEDED, text
        return self.stored(row)

    def failed(self, row: ToolCall, reason: str) -> ToolMessage:
        """The tool says that it did not happen: the model is told and goes on."""
        message = self.tell(f"The tool failed: {reason}", status="error")
        self.close(row, ToolCall.Status.FAILED, dumped(message))
        return message

    def close(self, row: ToolCall, status: str, result_text: str) -> bool:
        """Write what became of the call, also where the database is away for a moment: else it would be in doubt.

        False where somebody has settled it before.
        """
        return Retrying(
            retry=retry_if_exception(is_away),
            wait=wait_exponential(multiplier=0.2, max=5),
            stop=stop_after_delay(settings.TASK_LEASE_SECONDS),
            before_sleep=lambda state: connection.close(),
            reraise=True,
        )(ledger.close, row, status, result_text)

    def asked_before(self, kind: str) -> Interrupt | None:
        """The newest round of this call's question of that kind, where it was asked."""
        return questions.asked_before(self.run.task, self.message_id, self.call_id, kind)

    def answered(self, asked: Interrupt) -> Interrupt:
        """The question, where it is answered; else the run pauses here."""
        return asked if asked.answered_at is not None else self.ask(asked)

    def ask(self, asked: Interrupt) -> NoReturn:
        """Pause this call, as LangGraph's `interrupt()` does, but without taking an answer.

        What `interrupt()` returns goes by its order in the node: an answer that is left over would be taken for that of
        the next question, also for one that the tool itself asks.
        """
        raise GraphInterrupt((GraphQuestion(questions.payload(asked), id=questions.graph_id(asked)),))

    def question(self, kind: str, args_text: str, verdict: Verdict, *, round_: int = 0) -> Interrupt:
        """The question as it will be stored when the run has paused."""
        return Interrupt(
            kind=kind,
            message_id=self.message_id,
            tool_call_id=self.call_id,
            round=round_,
            tool=self.name,
            args_text=args_text,
            verdict_text=verdict.to_text(),
            args_digest=questions.digest_of(self.run.task.pk, self.name, args_text, verdict.to_text()),
            args_schema=schema_of(self.request.tool),
            description=self.describe(kind, args_text),
            said=str(storable(str(self.message.text))),
            risk=verdict.terms.risk,
        )

    def describe(self, kind: str, args_text: str) -> str:
        """What the reviewer reads first: what would happen, in the tool's own words where it has some."""
        if kind == Kind.IN_DOUBT:
            return f"{self.name} was started and it is not known whether it happened. It is not run again by itself."
        if self.declaration.preview is not None:
            try:
                return str(storable(self.declaration.preview(json.loads(args_text))))
            except Exception:
                logger.exception("the preview of %s failed", self.name)
        return str(storable(self.request.tool.description)) if self.request.tool is not None else ""

    def doubt(self) -> Verdict:
        """The verdict on a call in doubt: the one on the call itself, without edit; reviewers decide a free tool's."""
        approval = self.asked_before(Kind.TOOL_CALL)
        terms = questions.agreed_terms(approval) if approval else Terms()
        doubtful = Terms(
            risk=terms.risk,
            deciders=terms.deciders,
            distinct=terms.distinct,
            seconds=terms.seconds,
            on_expiry="wait",
            allowed=("accept", "response", "reject"),
        )
        return Verdict("review", "outcome unknown", doubtful, self.declaration.review)

    def validated(self, args: Any) -> dict[str, Any]:
        """The arguments as the tool's schema coerces them. Raises ArgumentError."""
        if self.call_id in self.message.additional_kwargs.get(BROKEN_CALLS, ()):
            raise ArgumentError("The arguments were not valid JSON. Write the call again.")
        return validated(self.name, self.request.tool, args)

    def assessed(self, args: dict[str, Any]) -> Verdict:
        """What the policy says of the call with these arguments."""
        task, agent = self.run.task, self.run.agent
        call = Call(self.name, args, task.session.user_id, agent.alias, self.declaration.review, str(task.session_id))
        return agent.policy(call)

    def context(self, row: ToolCall) -> CallContext:
        """What the tool may know about its surroundings."""
        session = self.run.task.session
        tools = [m for m in self.request.state["messages"] if isinstance(m, ToolMessage)]
        tainted = any(not declaration_of(self.run.agent.tool(m.name or "")).plain_result for m in tools)
        return CallContext(session.user_id, session.session_id, str(self.run.task.pk), str(row.pk), tainted)

    def tell(self, text: str, *, status: Any = "success") -> ToolMessage:
        """A message to the model in the place of the tool's own result."""
        return ToolMessage(storable(text), name=self.name, tool_call_id=self.call_id, status=status)

    def denied(self, args: dict[str, Any], verdict: Verdict) -> ToolMessage:
        """The model is told that the policy does not let the call through, and so is the audit log."""
        ledger.refuse(self.run.attempt, self.entry(canonical(args), verdict.to_text(), rule_id=verdict.rule_id))
        return self.tell(f"This call is denied by policy: {verdict.reason or verdict.rule}", status="error")

    def stored(self, row: ToolCall, *, note: bool = True) -> Result:
        """The result as the ledger has it; after an edit the model is told what was changed."""
        if row.status == ToolCall.Status.STARTED:
            self.lost()
        answer = self.asked_before(Kind.TOOL_CALL) if note else None
        changed = f"[A person changed the arguments to {row.args_text}]" if _is_edit(answer) else ""
        return loaded(row.result_text, self.name, self.call_id, changed)

    def reread(self, row: ToolCall) -> ToolCall:
        """The row as it is now. Raises StaleAttempt where the task has been deleted."""
        found = ledger.find(self.run.task, self.message_id, self.call_id)
        return found if found is not None else self.lost()

    def lost(self) -> NoReturn:
        """The row was settled or removed by somebody else: this attempt is over."""
        raise ledger.lifecycle.StaleAttempt


def _message_of(messages: list[Any], call_id: str) -> AIMessage:
    for message in reversed(messages):
        if isinstance(message, AIMessage) and any(call["id"] == call_id for call in message.tool_calls):
            return message
    raise RunFailure("A tool was called that no message of the model asks for.")


def _is_edit(answer: Interrupt | None) -> bool:
    return answer is not None and answer.status == Answer.EDITED


def _given_up(answer: Interrupt) -> str:
    reason = f": {answer.answer_message}" if answer.answer_message else ""
    return f"It is not known whether this call happened, and a person gave it up{reason}. Do not try it again."
