"""Runner that drives a task's graph until it finishes or pauses. It writes no status: `jobs` records the outcome."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.errors import GraphRecursionError
from langgraph.types import Command, StateSnapshot

from agents import pauses
from agents.checkpoints import fenced_saver
from agents.config import Misconfigured
from agents.models import Attempt, Interrupt, Task
from agents.runtime import registry, system_prompt
from agents.runtime.endpoints import errors
from agents.runtime.history import conversation
from agents.runtime.history.message_events import MessageEvents, custom
from agents.runtime.middleware import answers
from agents.runtime.run_context import HOLD, Run, RunEnded, RunFailure
from agents.state import interrupts, tasks
from agents.state.tasks import StaleAttempt
from core.db.connections import is_away

logger = logging.getLogger(__name__)

SWALLOWED = (
    "The call of {tool} waits for a person, but the graph went on without it, so nobody was asked and it was not run. "
    "Ask the operator to look for code that catches GraphInterrupt, or for sub-agents with their own thread."
)
NO_CHECKPOINTER = (
    "A sub-agent of this graph was compiled with checkpointer=False, so it can't pause for a review. Ask the operator "
    "to leave the checkpointer out, so that it is inherited."
)
RESUME = "__resume__"  # LangGraph's channel for answers; tests/agents/test_own_questions.py checks it


@dataclass(frozen=True)
class Finished:
    """The graph gave its final answer."""

    result: dict[str, Any]
    message: str = ""  # for the client, if the answer is incomplete


@dataclass(frozen=True)
class Paused:
    """The graph asked these questions; none is stored yet."""

    asked: list[Interrupt] = field(default_factory=list)
    held_tool: str = ""  # the tool of a parallel call that a pause stopped


@dataclass(frozen=True)
class Failed:
    """The graph failed permanently."""

    message: str


@dataclass(frozen=True)
class Stopped:
    """The run stopped because its worker drains or its attempt is over: the task is released."""


@dataclass(frozen=True)
class Held:
    """A pause stopped the run before a call of this tool; "": a call of the model."""

    tool: str


Outcome = Finished | Paused | Failed | Stopped | Held
Started = Callable[[Run], None]


def advance(attempt: Attempt, stop: threading.Event) -> Outcome:
    """Run the task's graph from its newest checkpoint.

    Raises:
        StaleAttempt: the attempt is over; there is nothing to record.
        OperationalError, InterfaceError, InternalError: the database is away; the caller gives up the lease.
    """
    try:
        task = attempt.task  # as it was when it was claimed: what changes later, changes under the fence
        agent = registry.agent(task.agent)
        run = Run(task, attempt, agent, system_prompt.for_task(task, agent), stop)
        message_events = MessageEvents(task)
        with fenced_saver.saver_of(attempt, message_events.new) as saver:
            graph = registry.graph(task.agent).copy(update={"checkpointer": saver})
            return _until_over(graph, run, message_events)
    except StaleAttempt:
        raise
    except Task.DoesNotExist as error:
        raise StaleAttempt from error
    except pauses.OnHold as hold:  # in a graph that lets the exception through
        return Held(hold.tool)
    except (RunFailure, Misconfigured) as error:
        if stop.is_set():
            return Stopped()
        return Failed(str(error))
    except GraphRecursionError:
        return Failed(f"The agent took {settings.GRAPH_RECURSION_LIMIT} steps without reaching an answer.")
    except Exception as error:
        if is_away(error):
            raise
        if isinstance(error, AttributeError) and "_put_checkpoint_fut" in str(error):  # how LangGraph reports it
            return Failed(NO_CHECKPOINTER)
        logger.exception("task %s: the agent failed", attempt.task_id)
        if errors.is_endpoints(error):  # from a graph that calls its model without our middleware
            return Failed(errors.read(error).explanation)
        return Failed(f"The agent failed with an error ({type(error).__name__}). For details, see the worker's log.")


def _until_over(graph: Any, run: Run, message_events: MessageEvents) -> Outcome:
    """Drive the graph. Raises the error that ended the run, at any depth, also if a node has swallowed it."""
    try:
        with run.active():
            outcome = _driven(graph, run, message_events)
    except RunEnded as end:
        raise end.error from end.error.__cause__  # keep its cause: `is_away` looks at the driver's error
    except Exception:
        if run.failure is not None:  # a client of a model has wrapped it
            raise run.failure from run.failure.__cause__
        raise
    if run.failure is not None:
        raise run.failure
    return outcome


def _driven(graph: Any, run: Run, message_events: MessageEvents) -> Outcome:
    config: RunnableConfig = {"configurable": {"thread_id": str(run.task.pk)}}
    before: StateSnapshot = graph.get_state(config)
    if not before.created_at:
        given: Any = {"messages": conversation.opening(run.task)}
    elif not before.tasks:  # not `next`: nodes that have written, but are in no checkpoint yet, are missing there
        return _outcome(before, run)  # the last attempt died between the final checkpoint and its record
    else:
        saved = graph.checkpointer.get_tuple(config)
        # Without the messages of a step that is not over.
        message_events.begin(saved.checkpoint["channel_values"].get("messages"))
        given = _wake_up(before, saved, run.task)
    config["recursion_limit"] = _steps_left(before)
    run.let_go()
    stream = graph.stream(given, config, context=run, stream_mode=["updates", "custom"], durability="sync")
    for mode, written in stream:
        if mode == "custom":
            tasks.append_event(run.attempt, custom(written))
        if run.stop.is_set():
            stream.close()
            return Stopped()
    outcome = _outcome(graph.get_state(config), run)
    if isinstance(outcome, Finished) and run.asked:
        raise RunFailure(SWALLOWED.format(tool=run.asked[0]))
    return outcome


def _steps_left(before: StateSnapshot) -> int:
    """Return how many steps the task may still take, over all its runs. Raises GraphRecursionError.

    LangGraph counts each run separately, from the step after the one that it continues, and allows at least one step.
    At the limit, a task that has paused may therefore take one step more than a task that has not.
    """
    if not before.created_at:
        return int(settings.GRAPH_RECURSION_LIMIT)
    used: int = (before.metadata or {}).get("step", 0)
    if used >= settings.GRAPH_RECURSION_LIMIT:
        raise GraphRecursionError
    return max(settings.GRAPH_RECURSION_LIMIT - used - 2, 1)


def _wake_up(state: StateSnapshot, saved: CheckpointTuple, task: Task) -> Command[Any] | None:
    """Return the answers to the graph's own questions by LangGraph's ids, or None where there are none.

    An answer without an id would go to the next, unseen question. The gate reads its answers from the database: None
    makes its calls run again. An answer that LangGraph has already stored (the last attempt died after that) is not
    sent again, because it would answer the node's next question too.
    """
    kept = {node_id: len(values) for node_id, channel, values in saved.pending_writes or () if channel == RESUME}
    answers: dict[str, str] = {}
    for node in state.tasks:
        asked = Interrupt.objects.filter(task=task, kind=Interrupt.Kind.QUESTION, message_id=node.id)
        open_ = [question.id for question in node.interrupts]
        row = asked.filter(graph_id__in=open_, answered_at__isnull=False).first()
        if row is not None and kept.get(node.id, 0) < asked.count():
            answers[row.graph_id] = row.answer_message
    return Command(resume=answers) if answers else None


def _outcome(state: StateSnapshot, run: Run) -> Outcome:
    asking = [(node.id, question) for node in state.tasks for question in node.interrupts if question.value != HOLD]
    if asking:
        asked = [interrupts.from_payload(run.task, node_id, one.id, one.value) for node_id, one in asking]
        return Paused(asked, run.held_tool or "")
    if state.next and run.held_tool is not None:
        return Held(run.held_tool)
    if state.next and run.stop.is_set():
        return Stopped()
    if state.next:
        return Failed("The graph stopped before its end without a question. Ask the operator to check its breakpoints.")
    return _ended(state.values.get("messages", []), run.task)


def _ended(messages: list[Any], task: Task) -> Outcome:
    """Return the outcome of a graph that has ended. Custom graphs may end with any answer, so it is checked here."""
    last = messages[-1] if messages else None
    if last is not None and (problem := answers.problem_of(last)) is not None:
        return Failed(problem.text)
    cut = answers.cut_of(last)
    result = conversation.to_result(messages, conversation.closing(task, messages))
    return Finished(result, answers.cut_text(cut) if cut else "")
