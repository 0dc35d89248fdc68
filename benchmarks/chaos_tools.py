"""Tools of a chaos run, whose calls leave a trace outside of every database, and the removal of guards.

`CHAOS_ORACLE` names the file of the trace. Each call appends one line, which the kernel writes as a whole.
`CHAOS_CONTROL` names the guard to remove from this worker, so that the damage shows.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.db import connection
from langchain_core.tools import tool
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from agents.checkpoints import fenced_saver
from agents.models import Status, Task, ToolCall
from agents.policy import Declaration, declare
from agents.runtime.middleware.model_calls import ModelCalls
from agents.state import statements, tasks, tool_calls
from agents.tool_context import current_call

SLOW = 0.3  # seconds at most before and after a tool's effect, and after a model's answer: time to be killed in


def _act(name: str, amount: float) -> str:
    time.sleep(random.uniform(0, SLOW))
    line = f"{name} {amount:g} {current_call().idempotency_key}\n".encode()
    descriptor = os.open(os.environ["CHAOS_ORACLE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)
    time.sleep(random.uniform(0, SLOW))
    return f"{name} {amount:g}"


@tool
def charge(amount: float) -> str:
    """Charge an amount. Declares nothing, so it is reviewed; its effect must not happen twice."""
    return _act("charge", amount)


@declare(Declaration(review=None))
@tool
def grab(amount: float) -> str:
    """Grab an amount. Free; its effect must not happen twice."""
    return _act("grab", amount)


@declare(Declaration(review=None, idempotent=True))
@tool
def put(amount: float) -> str:
    """Put an amount. Free and idempotent: the same key again has no second effect."""
    return _act("put", amount)


def _slow_model() -> None:
    call = ModelCalls.wrap_model_call

    def slow(self: ModelCalls, request: Any, handler: Callable[[Any], Any]) -> Any:
        answer = call(self, request, handler)
        time.sleep(random.uniform(0, SLOW))
        return answer

    ModelCalls.wrap_model_call = slow  # type: ignore[method-assign]


@contextmanager
def unfenced(attempt: Any, events_of: Any = None) -> Iterator[Any]:
    if connection.vendor == "postgresql":
        yield PostgresSaver(fenced_saver._pool())
    else:
        with closing(fenced_saver._sqlite()) as conn:
            yield SqliteSaver(conn)


def _without_fence() -> None:
    fenced_saver.saver_of = unfenced


def _without_token() -> None:
    """Let an attempt whose lease was taken over still write to the task, the ledger and the checkpoints."""

    def held(attempt: Any) -> Task:
        task = Task.objects.select_for_update(no_key=True).filter(pk=attempt.task_id, status=Status.RUNNING).first()
        if task is None:
            raise tasks.StaleAttempt
        return task

    tasks._held = held
    tasks.require_open = lambda attempt: None
    statements._CONCLUDE = statements._CONCLUDE.replace("token = %s", "%s > 0")
    for name in ("_ENTER", "_CLOSE"):
        setattr(statements, name, getattr(statements, name).replace("AND ended_at IS NULL", ""))
    _without_fence()


def _without_ledger() -> None:
    """Treat every call as one that was never entered."""
    enter = tool_calls.enter

    def enter_anew(attempt: Any, entry: tool_calls.Entry) -> ToolCall:
        ToolCall.objects.filter(pk=tool_calls.key_of(attempt.task_id, entry.message_id, entry.tool_call_id)).delete()
        return enter(attempt, entry)

    find = tool_calls.find

    def find_finished(task: Task, message_id: str, tool_call_id: str) -> ToolCall | None:
        row = find(task, message_id, tool_call_id)
        return None if row is None or row.status == ToolCall.Status.STARTED else row

    tool_calls.find, tool_calls.enter = find_finished, enter_anew


_slow_model()
CONTROLS = {"fence": _without_fence, "token": _without_token, "ledger": _without_ledger}
if control := os.environ.get("CHAOS_CONTROL"):
    CONTROLS[control]()
