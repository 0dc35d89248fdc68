"""What a tool may ask about the call it runs in: for whom, in which task, under which idempotency key."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class CallContext:
    """The surroundings of one tool call."""

    user_id: str
    session_id: str
    task_pk: str  # our own id of the task
    idempotency_key: str  # the same whenever this call is tried again; hand it to the system that the tool talks to
    tainted: bool  # a tool's result with text from outside is part of the conversation
    agent: str = "default"  # the alias of the agent that calls


_current: ContextVar[CallContext] = ContextVar("agentsite_call")


def current_call() -> CallContext:
    """The call that runs now. Raises LookupError outside of a tool call."""
    return _current.get()


@contextmanager
def running(call: CallContext) -> Iterator[None]:
    """Make `call` the current one."""
    reset = _current.set(call)
    try:
        yield
    finally:
        _current.reset(reset)
