"""The gate that every tool call passes: ledger, stored question, policy, interrupt, digest, ledger entry, tool.

Nothing here remembers anything between two runs of the node: LangGraph runs it again from its top after each pause and
each crash, and every decision is read from the database.
"""

import json
import logging
from collections.abc import Callable
from typing import Any, NoReturn, cast

import jsonschema
from django.conf import settings
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, ToolException
from langgraph.errors import GraphBubbleUp
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command, interrupt
from pydantic import BaseModel, ValidationError

from agents import ledger, questions
from agents.context import CallContext, running
from agents.graphs.model_calls import BROKEN_CALLS
from agents.models import Interrupt, ToolCall
from agents.run import Run, RunFailure
from agents.terms import Call, Declaration, Terms, Verdict, declaration_of
from agentsite.core.text import canonical, storable

logger = logging.getLogger(__name__)

Handler = Callable[[ToolCallRequest], ToolMessage | Command[Any]]
Kind = Interrupt.Kind
Answer = Interrupt.Status

CUT = "\n[cut: the tool's result is longer than what is kept]"
BODY_ERROR = (
    "Error invoking tool"  # how LangGraph's ToolNode begins its answer to a ValidationError, also of a tool's body
)


class Gate(AgentMiddleware[Any, Run, Any]):
    """One per graph; each call gets a `Passage` of its own."""

    def wrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> ToolMessage | Command[Any]:
        """Source: AgentMiddleware. Raises StaleAttempt, RunFailure and LangGraph's own interrupts."""
        run = cast(Run, request.runtime.context)
        try:
            return Passage(run, request, handler).go()
        finally:
            run.let_go()


class ArgumentError(Exception):
    """The call can't run as the model wrote it; the text is for the model."""


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

    def go(self) -> ToolMessage | Command[Any]:
        """The result of the call, or of what a person decided about it."""
        row = ledger.find(self.run.task, self.message_id, self.call_id)
        if row is not None:
            return self.replay(row)
        try:
            args = self.validated(self.request.tool_call["args"])
        except ArgumentError as error:
            return self.tell(str(error), status="error")
        asked = questions.asked_before(self.run.task, self.message_id, self.call_id, Kind.TOOL_CALL)
        if asked is None:
            verdict = self.run.agent.policy(self.as_call(args))
            if verdict.action == "allow":
                return self.enter(canonical(args), verdict.to_text())
            if verdict.action == "deny":
                return self.tell(f"This call is denied by policy: {verdict.reason or verdict.rule}", status="error")
            asked = self.question(Kind.TOOL_CALL, canonical(args), verdict.to_text())
        return self.obey(self.answered(asked))

    def replay(self, row: ToolCall) -> ToolMessage | Command[Any]:
        """A call that was entered before: its stored result, or the question what became of it."""
        if row.status != ToolCall.Status.STARTED:
            answer = questions.asked_before(self.run.task, self.message_id, self.call_id, Kind.TOOL_CALL)
            return self.stored(row, answer)
        asked = questions.asked_before(self.run.task, self.message_id, self.call_id, Kind.IN_DOUBT)
        if asked is None and self.declaration.idempotent and not row.doubtful:
            return self.execute(ledger.enter_again(self.run.attempt, row))
        if asked is None or asked.round < row.runs - 1:
            asked = self.question(Kind.IN_DOUBT, row.args_text, self.doubt(row).to_text(), round_=row.runs - 1)
        answer = self.answered(asked)
        if answer.status == Answer.APPROVED:
            return self.execute(ledger.enter_again(self.run.attempt, row, answer))
        if answer.status == Answer.RESPONDED and answer.answered_by == "system":
            ledger.use(answer)  # the call ended after all and closed its row
            return self.replay(self.reread(row))
        happened = answer.status == Answer.RESPONDED
        text = answer.answer_message if happened else _given_up(answer)
        status = ToolCall.Status.SUCCEEDED if happened else ToolCall.Status.FAILED
        ledger.settle(self.run.attempt, row, answer, status, self.dumped(self.tell(text)))
        return self.stored(self.reread(row), None)

    def obey(self, answer: Interrupt) -> ToolMessage | Command[Any]:
        """Do what the person decided."""
        if answer.status in (Answer.APPROVED, Answer.EDITED):
            if questions.is_stale(answer):
                text, verdict = answer.args_text, answer.verdict_text
                again = self.question(Kind.TOOL_CALL, text, verdict, round_=answer.round + 1)
                return self.obey(self.answered(again))
            if answer.status == Answer.EDITED:
                return self.enter(answer.answer_args_text, answer.answer_verdict_text, answer)
            return self.enter(answer.args_text, answer.verdict_text, answer)
        ledger.use(answer)
        if answer.status == Answer.RESPONDED:
            return self.tell(f"[A person answered in place of the tool] {answer.answer_message}")
        reason = answer.answer_message or "no reason was given"
        who = "nobody decided it in time" if answer.status == Answer.EXPIRED else reason
        return self.tell(f"This call was rejected and has not run: {who}", status="error")

    def enter(self, args_text: str, verdict_text: str, answer: Interrupt | None = None) -> ToolMessage | Command[Any]:
        """Check that it is what was agreed to, enter the call in the ledger, and run it."""
        args_digest = questions.digest_of(self.run.task.pk, self.name, args_text, verdict_text)
        if answer is not None:
            self.prove(answer, args_digest)
        try:
            self.validated(json.loads(args_text))  # an edit was held against the JSON schema only
        except ArgumentError as error:
            return self.tell(str(error), status="error")
        entry = ledger.Entry(self.message_id, self.call_id, self.name, args_text, args_digest, answer)
        return self.execute(ledger.enter(self.run.attempt, entry))

    def prove(self, answer: Interrupt, args_digest: str) -> None:
        """Raises RunFailure unless exactly what was asked and agreed to is about to run."""
        asked = questions.digest_of(self.run.task.pk, answer.tool, answer.args_text, answer.verdict_text)
        if asked != answer.args_digest or args_digest != answer.answer_digest or answer.tool != self.name:
            logger.error("task %s: review %s was altered after it was decided", self.run.task.pk, answer.pk)
            raise RunFailure(f"The approved call of {self.name} was altered afterwards, so it was not run.")

    def execute(self, row: ToolCall) -> ToolMessage | Command[Any]:
        """Run the tool and write what became of it."""
        args = json.loads(row.args_text)
        request = self.request.override(tool_call={**self.request.tool_call, "args": args})
        try:
            with running(self.context(row)):
                result = self.handler(request)
            if _is_body_error(result):
                raise ValueError(str(result.content))  # type: ignore[union-attr]
        except GraphBubbleUp:
            ledger.take_back(row)
            raise
        except ToolException as error:
            return self.failed(row, str(error))
        except Exception as error:
            logger.exception("task %s: tool %s failed", self.run.task.pk, self.name)
            if row.reviewed and not self.declaration.idempotent:
                ledger.mark_doubtful(row)
                return self.replay(self.reread(row))
            return self.failed(row, f"{type(error).__name__}: {error}")
        ledger.close(row, ToolCall.Status.SUCCEEDED, self.dumped(result))
        if isinstance(result, Command):
            return result
        answer = questions.asked_before(self.run.task, self.message_id, self.call_id, Kind.TOOL_CALL)
        return self.stored(self.reread(row), answer)

    def failed(self, row: ToolCall, reason: str) -> ToolMessage:
        """The tool says that it did not happen: the model is told and goes on."""
        message = self.tell(f"The tool failed: {reason}", status="error")
        ledger.close(row, ToolCall.Status.FAILED, self.dumped(message))
        return message

    def answered(self, asked: Interrupt) -> Interrupt:
        """The question once it is answered; until then LangGraph pauses here.

        What `interrupt()` returns only says that somebody woke the run up, perhaps for another question of this node.
        """
        while asked.answered_at is None:
            interrupt(questions.payload(asked))
            found = questions.asked_before(self.run.task, self.message_id, self.call_id, asked.kind)
            if found is not None and found.round == asked.round:
                asked = found
        return asked

    def question(self, kind: str, args_text: str, verdict_text: str, *, round_: int = 0) -> Interrupt:
        """The question as it will be stored when the run has paused."""
        verdict = Verdict.from_text(verdict_text)
        return Interrupt(
            kind=kind,
            message_id=self.message_id,
            tool_call_id=self.call_id,
            round=round_,
            tool=self.name,
            args_text=args_text,
            verdict_text=verdict_text,
            args_digest=questions.digest_of(self.run.task.pk, self.name, args_text, verdict_text),
            args_schema=_schema(self.request.tool),
            description=self.describe(kind, args_text),
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
        tool = self.request.tool
        return str(storable(tool.description)) if tool is not None else ""

    def doubt(self, row: ToolCall) -> Verdict:
        """The verdict on a call in doubt: the one on the call itself, without edit; reviewers decide a free tool's."""
        approval = questions.asked_before(self.run.task, self.message_id, self.call_id, Kind.TOOL_CALL)
        terms = Verdict.from_text(approval.verdict_text).terms if approval else Terms()
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
        """The arguments as the tool's schema coerces them, JSON only. Raises ArgumentError."""
        tool = self.request.tool
        if tool is None:
            raise ArgumentError(f"There is no tool called {self.name!r}.")
        if self.call_id in self.message.additional_kwargs.get(BROKEN_CALLS, ()):
            raise ArgumentError("The arguments were not valid JSON. Write the call again.")
        try:
            coerced = storable(_coerced(tool, args))
            canonical(coerced)
        except (ValidationError, jsonschema.ValidationError, ValueError, TypeError) as error:
            raise ArgumentError(f"The arguments do not fit {self.name}: {error}") from error
        return dict(coerced)

    def as_call(self, args: dict[str, Any]) -> Call:
        """The call as the policy sees it."""
        user_id = self.run.task.session.user_id
        return Call(self.name, args, user_id, self.run.agent.alias, self.declaration.review)

    def context(self, row: ToolCall) -> CallContext:
        """What the tool may know about its surroundings."""
        session = self.run.task.session
        tools = [m for m in self.request.state["messages"] if isinstance(m, ToolMessage)]
        tainted = any(not declaration_of(self.run.agent.tool(m.name or "")).plain_result for m in tools)
        return CallContext(session.user_id, session.session_id, str(self.run.task.pk), str(row.pk), tainted)

    def tell(self, text: str, *, status: Any = "success") -> ToolMessage:
        """A message to the model in the place of the tool's own result."""
        return ToolMessage(storable(text), name=self.name, tool_call_id=self.call_id, status=status)

    def dumped(self, result: ToolMessage | Command[Any]) -> str:
        """A result as text for the ledger, cut to what is kept."""
        if isinstance(result, Command):
            return json.dumps({"command": repr(result.update)[: settings.TOOL_RESULT_LIMIT]})
        content = storable(result.content)
        if len(json.dumps(content).encode()) > settings.TOOL_RESULT_LIMIT:
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
            content = text.encode()[: settings.TOOL_RESULT_LIMIT].decode("utf-8", "ignore") + CUT
        return json.dumps({"content": content, "status": result.status})

    def stored(self, row: ToolCall, answer: Interrupt | None) -> ToolMessage:
        """The result as the ledger has it; after an edit the model is told what was changed."""
        if row.status == ToolCall.Status.STARTED:
            self.lost()
        data = json.loads(row.result_text)
        content = data.get("content", data.get("command", ""))
        if answer is not None and answer.status == Answer.EDITED and isinstance(content, str):
            content = f"[A person changed the arguments to {answer.answer_args_text}]\n{content}"
        return ToolMessage(content, name=self.name, tool_call_id=self.call_id, status=data.get("status", "success"))

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


def _schema(tool: BaseTool | None) -> dict[str, Any]:
    if tool is None:
        return {}
    schema = tool.tool_call_schema
    found = schema if isinstance(schema, dict) else cast(type[BaseModel], schema).model_json_schema()
    return {key: value for key, value in storable(found).items() if key not in ("title", "description")}


def _coerced(tool: BaseTool, args: Any) -> Any:
    schema = tool.tool_call_schema
    if isinstance(schema, dict):  # a tool of an MCP server
        jsonschema.validate(args, schema)
        return args
    if not issubclass(schema, BaseModel):
        raise TypeError("the tool's schema is of a kind that can't be checked")
    return schema.model_validate(args).model_dump(mode="json", by_alias=True)


def _is_body_error(result: ToolMessage | Command[Any]) -> bool:
    return isinstance(result, ToolMessage) and result.status == "error" and str(result.content).startswith(BODY_ERROR)


def _given_up(answer: Interrupt) -> str:
    reason = f": {answer.answer_message}" if answer.answer_message else ""
    return f"It is not known whether this call happened, and a person gave it up{reason}. Do not try it again."
