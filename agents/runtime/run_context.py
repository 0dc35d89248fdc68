"""The run of a graph: the context that LangGraph passes to the middleware and that tools look up here."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Interrupt as GraphQuestion

from agents import pauses
from agents.models import Attempt, Task
from agents.runtime.endpoints.listening import Listener
from agents.state import tasks

if TYPE_CHECKING:  # the registry imports tools, which look up their run here
    from agents.runtime.registry import Agent

HOLD = "agentsite-hold"  # in place of a question where a pause holds the node; it becomes no review


class RunFailure(Exception):
    """The task can't continue; the text is its error message."""


class ModelFailure(RunFailure):
    """The model could not be reached or gave no usable answer."""


class RunEnded(GraphBubbleUp):
    """The run is over because of `error`, at whatever depth of sub-agents it was raised.

    LangGraph's tool nodes turn other exceptions into messages for the model, and the run would continue.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class Run:
    """One attempt at advancing a task, in one worker thread."""

    task: Task
    attempt: Attempt
    agent: "Agent"
    system_prompt: str
    stop: threading.Event = field(default_factory=threading.Event)  # set: the worker drains or the attempt is over
    started: float = field(default_factory=time.monotonic)
    held_tool: str | None = None  # the tool whose call a pause stopped; "": a call of the model
    listener: Listener | None = None  # gets the model's answers while they come, in place of those who watch the task
    room: int | None = None  # tokens for messages in the model's context, set once its endpoint has refused more
    failure: Exception | None = None  # why the run is over; kept if a node swallows the exception
    asked: list[str] = field(default_factory=list)  # tools whose calls began to wait for a person in this run
    direct_calls: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # of tools by nodes; see `call_site`
    _counted: dict[int, Any] = field(default_factory=dict, repr=False)  # keeps their ids from being reused
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the active run in this thread and in those that LangGraph starts from it."""
        reset = _active.set(self)
        try:
            yield
        finally:
            _active.reset(reset)

    def ended_by(self, error: Exception) -> RunEnded:
        """Record that this error ended the run, and return the exception to raise. Only the first error counts."""
        with self._lock:
            if self.failure is None:
                self.failure = error
        return RunEnded(self.failure)

    def require_going(self) -> None:
        """Raise RunEnded if the run is over."""
        if self.failure is not None:
            raise RunEnded(self.failure)

    def count(self, execution: object, *call: str) -> int:
        """Count a call, and return how many calls like it this execution of a node has made, including this one."""
        key = (id(execution), *call)
        with self._lock:
            self._counted[id(execution)] = execution
            self.direct_calls[key] += 1
            return self.direct_calls[key]

    def require_time(self) -> None:
        """Raise RunFailure if the task has used up its wall-clock time."""
        if self.task.run_seconds + time.monotonic() - self.started > settings.TASK_WALL_SECONDS:
            raise RunFailure(tasks.OVERRUN.format(limit=settings.TASK_WALL_SECONDS))

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Turn OnHold into a GraphInterrupt, like a question: parallel nodes finish, and this one runs again later."""
        try:
            yield
        except pauses.OnHold as hold:
            self.held_tool = self.held_tool or hold.tool
            raise held() from hold

    def require_unpaused(self) -> None:
        """Stop the node before a call of the model if the task is paused."""
        with self.holding():
            is_held = pauses.may_hold(self.task)
            self.let_go()  # a model may take minutes
            if is_held:
                raise pauses.OnHold

    def let_go(self) -> None:
        """Close this thread's database connections, because nothing else closes them in LangGraph's threads.

        In the worker's own thread this returns the connection to the pool during a call of the model. Otherwise 20
        waiting runs would use up a pool of 20.
        """
        connections.close_all()


def held() -> GraphInterrupt:
    """Return the exception that ends a node without an outcome, so that it runs again later; parallel nodes finish."""
    # Not an empty tuple: the node may have asked before, and LangGraph would still count that question as open.
    return GraphInterrupt((GraphQuestion(HOLD, id=HOLD),))


_active: ContextVar[Run] = ContextVar("agentsite_run")


def active_run() -> Run | None:
    """Return the run in which this code executes, or None outside of a run."""
    return _active.get(None)
