"""What belongs to one run of a graph: the context that LangGraph hands to the middleware."""

import threading
import time
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connections

from agents import lifecycle
from agents.models import Attempt, Task
from agents.registry import Agent


class RunFailure(Exception):
    """The task can't go on; the text is its error message."""


class ModelFailure(RunFailure):
    """The model could not be reached or gave no usable answer."""


@dataclass
class Run:
    """One attempt at advancing a task, in one worker thread."""

    task: Task
    attempt: Attempt
    agent: Agent
    system_prompt: str
    stop: threading.Event = field(default_factory=threading.Event)  # set: the worker drains or the attempt is over
    started: float = field(default_factory=time.monotonic)

    def require_time(self) -> None:
        """Raises RunFailure where the task has used up its wall-clock time."""
        if self.task.run_seconds + time.monotonic() - self.started > settings.TASK_WALL_SECONDS:
            raise RunFailure(lifecycle.OVERRUN.format(limit=settings.TASK_WALL_SECONDS))

    def let_go(self) -> None:
        """Close this thread's database connections: nobody else would in a thread of LangGraph's.

        In the worker's own thread it gives the connection back to the pool while the model is waited for: held on to,
        a pool of 20 would be used up by 20 runs that do nothing.
        """
        connections.close_all()
