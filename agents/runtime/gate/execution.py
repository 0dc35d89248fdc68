"""Execution of a tool call that is in the ledger: run the tool, record the result, answer with what is stored."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from django.conf import settings
from django.db import connection
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.tools import BaseTool, ToolException
from langgraph.errors import GraphBubbleUp, GraphInterrupt, ParentCommand
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from agents.models import Interrupt, ToolCall
from agents.observability import failpoints, tracing
from agents.policy import Declaration, declaration_of
from agents.runtime.gate.tool_results import Result, dumped, is_error, loaded
from agents.runtime.run_context import Run, RunEnded, RunFailure
from agents.runtime.tool_arguments import Arguments
from agents.runtime.tool_connection import tool_connection
from agents.state import interrupts, tasks, tool_calls
from agents.tool_context import CallContext, current_call, running
from core.db.connections import is_away
from core.text import storable

logger = logging.getLogger(__name__)

# Every way in which Python ends a function early. The lease covers any other way (a green thread's time-out): the call
# stays started, and the task's next attempt finds it in doubt.
ENDS = (Exception, BaseExceptionGroup, asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)


@dataclass(frozen=True)
class CallRequest:
    """One tool call as a model or a graph asks for it."""

    tool: BaseTool | None  # None: there is no such tool
    name: str
    call_id: str
    message_id: str  # of the model's message, or LangGraph's id of the node's run if there is none
    args: Any  # as the model or the node wrote them
    perform: Callable[[Arguments], Any]  # runs the tool itself
    said: str = ""  # the model's text beside the call
    malformed: str = ""  # why the call itself can't run, for the model
    messages: Sequence[BaseMessage] | None = None  # the conversation, if known
    answers: str = ""  # the call's id in the model's message, if the ledger uses another one


class InDoubt(Exception):
    """The tool ended without showing whether the call happened."""


class Execution:
    """Execution of one tool call."""

    def __init__(self, run: Run, request: CallRequest) -> None:
        self.run = run
        self.request = request
        self.name = request.name
        self.call_id = request.call_id
        self.answered_id = request.answers or request.call_id
        self.message_id = request.message_id
        self.declaration: Declaration = declaration_of(request.tool)

    def perform(self, row: ToolCall, args: Arguments) -> Result:
        """Run the tool and record its result. Raises InDoubt if the outcome is unknown."""
        context = self.context(row)
        self.run.let_go()  # a tool may take minutes, and others need the connection
        try:
            failpoints.here("before-call")
            with running(context), tool_connection(), tracing.tool_call(self.name, asks=GraphBubbleUp):
                result = self.request.perform(args)
                failpoints.here("after-call")
        except GraphInterrupt:
            tool_calls.take_back(row)
            raise
        except ParentCommand as error:  # a command for a parent graph: the tool has run
            self.close(row, ToolCall.Status.SUCCEEDED, dumped(self.tell(str(error))))
            raise
        except (RunEnded, RunFailure) as error:  # a sub-agent's run can't continue, so neither can this one
            if isinstance(getattr(error, "error", error), RunFailure):
                self.close(row, ToolCall.Status.FAILED, dumped(self.tell(str(error))))
            raise
        except GraphBubbleUp:
            raise
        except ToolException as error:
            return self.failed(row, str(error))
        except ENDS as error:
            logger.exception("task %s: tool %s failed", self.run.task.pk, self.name)
            if row.reviewed and not self.declaration.idempotent:
                tool_calls.mark_doubtful(row)
                raise InDoubt from error
            return self.failed(row, f"{type(error).__name__}: {error}")
        status = ToolCall.Status.FAILED if is_error(result) else ToolCall.Status.SUCCEEDED
        return self.stored(row if self.close(row, status, dumped(result)) else self.reread(row))

    def failed(self, row: ToolCall, reason: str) -> ToolMessage:
        """Record the call as failed and return the message for the model."""
        message = self.tell(f"The tool failed: {reason}", status="error")
        self.close(row, ToolCall.Status.FAILED, dumped(message))
        return message

    def close(self, row: ToolCall, status: str, result_text: str) -> bool:
        """Record the result of the call, retrying while the database is away: otherwise it would be in doubt.

        Returns False if the call was settled before.
        """
        return Retrying(
            retry=retry_if_exception(is_away),
            wait=wait_exponential(multiplier=0.2, max=5),
            stop=stop_after_delay(settings.TASK_LEASE_SECONDS),
            before_sleep=lambda state: connection.close(),
            reraise=True,
        )(tool_calls.close, row, status, result_text)

    def tell(self, text: str, *, status: Any = "success") -> ToolMessage:
        """Return a message for the model in place of the tool's own result."""
        return ToolMessage(storable(text), name=self.name, tool_call_id=self.answered_id, status=status)

    def stored(self, row: ToolCall, *, note: bool = True) -> Result:
        """Return the stored result, with a note of the changed arguments after an edit.

        Raises StaleAttempt if the row has no result.
        """
        if row.status == ToolCall.Status.STARTED:
            self.lost()
        changed = (
            f"[A person changed the arguments to {row.args_text}]"
            if note and row.reviewed and self.was_edited()
            else ""
        )
        return loaded(row.result_text, self.name, self.answered_id, changed)

    def reread(self, row: ToolCall) -> ToolCall:
        """Return the row as it is now. Raises StaleAttempt if the task was deleted."""
        found = tool_calls.find(self.run.task, self.message_id, self.call_id)
        return found if found is not None else self.lost()

    def lost(self) -> NoReturn:
        """Raise StaleAttempt: the row was settled or removed elsewhere, so this attempt is over."""
        raise tasks.StaleAttempt

    def asked_before(self, kind: str) -> Interrupt | None:
        """Return the newest round of this call's question of that kind, or None if it was not asked."""
        return interrupts.asked_before(self.run.task, self.message_id, self.call_id, kind)

    def was_edited(self) -> bool:
        """Return whether a person changed the arguments of this call."""
        return interrupts.was_edited(self.run.task, self.message_id, self.call_id)

    def context(self, row: ToolCall) -> CallContext:
        """Return the context that the tool may read."""
        session = self.run.task.session
        key, tainted, alias = str(row.pk), self.is_tainted(), self.run.agent.alias
        return CallContext(session.user_id, session.session_id, str(self.run.task.pk), key, tainted, alias)

    def is_tainted(self) -> bool:
        """Return whether this conversation, or an outer agent's, contains or may contain text from outside."""
        outer = next(enclosing_calls(), None)
        if self.request.messages is None or (outer is not None and outer.tainted):
            return True
        tools = [m for m in self.request.messages if isinstance(m, ToolMessage)]
        return any(not declaration_of(self.run.agent.tool(m.name or "")).plain_result for m in tools)


def outer_call() -> uuid.UUID | None:
    """Return the id of the ledger row of the enclosing call, or None."""
    return next((uuid.UUID(call.idempotency_key) for call in enclosing_calls()), None)


def enclosing_calls() -> Iterator[CallContext]:
    """Yield the call inside which this code runs, if any."""
    try:
        yield current_call()
    except LookupError:
        return
