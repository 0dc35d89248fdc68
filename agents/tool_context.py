"""Context of the running tool call, for its tool: the user, the task and the idempotency key."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class CallContext:
    """Context of one tool call."""

    user_id: str
    session_id: str
    task_pk: str  # internal id of the task
    idempotency_key: str  # the same in every retry of this call; pass it to the system that the tool calls
    tainted: bool  # the conversation contains a tool's result with text from outside
    agent: str = "default"  # the alias of the agent that calls


_current: ContextVar[CallContext] = ContextVar("agentsite_call")


def current_call() -> CallContext:
    """Return the context of the running call. Raises LookupError outside of a tool call."""
    return _current.get()


@contextmanager
def running(call: CallContext) -> Iterator[None]:
    """Make `call` the current one inside the block."""
    reset = _current.set(call)
    try:
        yield
    finally:
        _current.reset(reset)
