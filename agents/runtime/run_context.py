"""One run of a graph: the context that LangGraph hands to the middleware, and that each tool finds by itself."""

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
from agents.state import tasks

if TYPE_CHECKING:  # the registry hands out tools, which find their run here
    from agents.runtime.registry import Agent

HOLD = "agentsite-hold"  # stands where a question would: nobody is asked


class RunFailure(Exception):
    """The task can't go on; the text is its error message."""


class ModelFailure(RunFailure):
    """The model could not be reached or gave no usable answer."""


class RunEnded(GraphBubbleUp):
    """The run is over because of `error`, however deep in sub-agents it arose.

    LangGraph's tool nodes turn other exceptions into messages for the model, and the run would go on.
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
    held_tool: str | None = None  # a pause stopped the run in front of this call; "": of a call of the model
    room: int | None = None  # tokens that the model's context has for messages, once its endpoint has refused more
    failure: Exception | None = None  # why it is over; whoever swallows the exception can't make it go on
    asked: list[str] = field(default_factory=list)  # the tools whose calls wait for a person since this run began
    direct_calls: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # of tools by nodes, see `call_site`
    _counted: dict[int, Any] = field(default_factory=dict, repr=False)  # keeps their ids from being used again
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the run that the tools find, in this thread and those that LangGraph starts from it."""
        reset = _active.set(self)
        try:
            yield
        finally:
            _active.reset(reset)

    def ended_by(self, error: Exception) -> RunEnded:
        """Return the exception to raise now that the run can't go on; the first error is the one that counts."""
        with self._lock:
            if self.failure is None:
                self.failure = error
        return RunEnded(self.failure)

    def require_going(self) -> None:
        """Raises RunEnded where the run is over: nothing may run any more."""
        if self.failure is not None:
            raise RunEnded(self.failure)

    def count(self, execution: object, *call: str) -> int:
        """Return how many calls like this one there have been in this execution of a node, with this one."""
        key = (id(execution), *call)
        with self._lock:
            self._counted[id(execution)] = execution
            self.direct_calls[key] += 1
            return self.direct_calls[key]

    def require_time(self) -> None:
        """Raises RunFailure where the task has used up its wall-clock time."""
        if self.task.run_seconds + time.monotonic() - self.started > settings.TASK_WALL_SECONDS:
            raise RunFailure(tasks.OVERRUN.format(limit=settings.TASK_WALL_SECONDS))

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Stop the node here where a pause holds it, as a question would: those beside it finish, and it runs again."""
        try:
            yield
        except pauses.OnHold as hold:
            self.held_tool = self.held_tool or hold.tool
            # Not an empty one: the node may have asked before, and that question would count as open still.
            raise GraphInterrupt((GraphQuestion(HOLD, id=HOLD),)) from hold

    def require_unpaused(self) -> None:
        """Stop the node in front of a call of the model where the task is paused."""
        with self.holding():
            found = pauses.over(self.task)
            self.let_go()  # a model may take minutes
            if found is not None:
                raise pauses.OnHold

    def let_go(self) -> None:
        """Close this thread's database connections: nobody else would in a thread of LangGraph's.

        In the worker's own thread it gives the connection back to the pool while the model is waited for: held on to,
        a pool of 20 would be used up by 20 runs that do nothing.
        """
        connections.close_all()


_active: ContextVar[Run] = ContextVar("agentsite_run")


def active_run() -> Run | None:
    """The run in which this code is executed, or None outside of one."""
    return _active.get(None)
