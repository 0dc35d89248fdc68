"""Advances a task: drives its graph until it finishes or pauses. Writes no status; `jobs` records the outcome."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.types import Command, StateSnapshot

from agents import checkpoints, conversation, prompt, questions, registry
from agents.lifecycle import StaleAttempt
from agents.models import Attempt, Interrupt, Task
from agents.run import Run, RunFailure

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """The graph gave its final answer."""

    messages: list[dict[str, Any]]


@dataclass(frozen=True)
class Paused:
    """The graph asked these questions; none is stored yet."""

    questions: list[Interrupt] = field(default_factory=list)


@dataclass(frozen=True)
class Failed:
    """The graph failed for good."""

    message: str


@dataclass(frozen=True)
class Stopped:
    """The worker drains: the task is to be handed over."""


Outcome = Finished | Paused | Failed | Stopped
Started = Callable[[Run], None]


def advance(attempt: Attempt, stop: threading.Event) -> Outcome:
    """Run the task's graph from where its newest checkpoint stands.

    Raises:
        StaleAttempt: the attempt is over; there is nothing to record.
        OperationalError, InterfaceError: the database is away; the lease will lapse.
    """
    try:
        task = Task.objects.select_related("session").get(pk=attempt.task_id)
        agent = registry.agent(task.agent)
        run = Run(task, attempt, agent, prompt.for_task(task, agent), stop)
        with checkpoints.saver_of(attempt) as saver:
            graph = registry.graph(task.agent).copy(update={"checkpointer": saver})
            return _driven(graph, run)
    except (StaleAttempt, OperationalError, InterfaceError):
        raise
    except Task.DoesNotExist as error:
        raise StaleAttempt from error
    except (RunFailure, registry.Misconfigured) as error:
        if stop.is_set():
            return Stopped()
        return Failed(str(error))
    except GraphRecursionError:
        return Failed(f"The agent took {settings.GRAPH_RECURSION_LIMIT} steps without coming to an answer.")
    except Exception as error:
        logger.exception("task %s: the agent failed", attempt.task_id)
        return Failed(f"The agent failed with an error of its own ({type(error).__name__}). The worker's log has it.")


def _driven(graph: Any, run: Run) -> Outcome:
    config: RunnableConfig = {
        "configurable": {"thread_id": str(run.task.pk)},
        "recursion_limit": settings.GRAPH_RECURSION_LIMIT,
    }
    before: StateSnapshot = graph.get_state(config)
    if not before.created_at:
        given: Any = {"messages": conversation.opening(run.task)}
    elif not before.next:
        return _outcome(before, run)  # the last attempt died between the final checkpoint and its record
    else:
        given = _wake_up(before, run.task)
    run.let_go()
    stream = graph.stream(given, config, context=run, stream_mode="updates", durability="sync")
    for _ in stream:
        if run.stop.is_set():
            stream.close()
            return Stopped()
    return _outcome(graph.get_state(config), run)


def _wake_up(state: StateSnapshot, task: Task) -> Command[Any] | None:
    """The answers for LangGraph, addressed by its own ids: a plain one would answer the next question, seen or not."""
    waiting = [question.id for question in state.interrupts]
    rows = Interrupt.objects.filter(task=task, graph_id__in=waiting, answered_at__isnull=False)
    answers = {row.graph_id: _answer(row) for row in rows}
    return Command(resume=answers) if answers else None


def _answer(row: Interrupt) -> Any:
    # The gate reads its answer from the database; only a graph's own question gets it from here.
    return row.answer_message if row.kind == Interrupt.Kind.QUESTION else True


def _outcome(state: StateSnapshot, run: Run) -> Outcome:
    if state.interrupts:
        return Paused([questions.from_payload(run.task, found.id, found.value) for found in state.interrupts])
    messages = conversation.closing(run.task, state.values.get("messages", []))
    return Finished(messages)
