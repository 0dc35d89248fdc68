"""Runs that stop while they wait for their model: cancelled, paused or handed over, streamed or not."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from django.db import connections
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

from agents.models import Attempt, Pause, Task, ToolCall
from agents.policy import Declaration, declare
from agents.runtime import registry, runner
from agents.runtime.middleware.model_calls import ModelCalls
from agents.runtime.run_context import Run, active_run
from agents.services import cancel
from agents.worker import jobs
from agents.worker.heartbeat import Heart
from tests.support.endpoint import Reply, anthropic_message, completion, ollama_message, says, trickles
from tests.support.hearing import Keeper
from tests.support.helpers import again, answer_of
from tests.support.streams import chunk, event, streams

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 2.0  # seconds; a second, and what this machine takes beside it
STARTED = event(chunk({"role": "assistant", "content": "Half of "}))
FINE = {"openai": completion(), "anthropic": anthropic_message(), "ollama": ollama_message()}


@declare(Declaration(review=None))
@tool
def ask_another(text: str) -> str:
    """Have a sub-agent with the service's middleware do it."""
    model = registry.agent("default").model()
    inner = create_agent(model, tools=[], middleware=[ModelCalls()], context_schema=Run)
    run = active_run()
    assert run is not None
    return str(inner.invoke({"messages": [HumanMessage(text)]}, context=run)["messages"][-1].content)


@dataclass
class Waiting:
    """A task whose run waits for its model."""

    task: Task
    heart: Heart
    thread: threading.Thread

    def ends_soon(self) -> bool:
        """Return whether the run ends within a second."""
        begun = time.monotonic()
        self.thread.join(20)
        return time.monotonic() - begun < SOON


@pytest.fixture
def keeper(monkeypatch: Any) -> Keeper:
    """A listener to all runs."""
    one = Keeper()
    monkeypatch.setattr(runner, "Run", partial(Run, listener=one))
    return one


@pytest.fixture
def wait(ask: Any, monkeypatch: Any) -> Iterator[Callable[..., Waiting]]:
    """Run a task in a worker's thread until its model is asked for reply `at`, with a worker's watcher beside it."""
    own = Heart()
    monkeypatch.setattr(jobs, "heart", lambda: own)

    def watch() -> None:
        own._watch_for_ever()
        connections.close_all()

    watcher = threading.Thread(target=watch, daemon=True)

    def run(*replies: Reply, at: int = 0, **more: Any) -> Waiting:
        asked = threading.Event()

        def awaited(write: Any, stopping: Any) -> None:
            asked.set()
            replies[at](write, stopping)

        def work() -> None:
            with suppress(Task.DoesNotExist):  # where the test deletes it
                ask(*replies[:at], awaited, *replies[at + 1 :], timeout=30.0, retry=30.0, **more)
            connections.close_all()

        thread = threading.Thread(target=work)
        thread.start()
        assert asked.wait(20)
        watcher.start()
        time.sleep(0.2)
        return Waiting(Task.objects.get(), own, thread)

    yield run
    own._quit.set()
    watcher.join()


def silent(*first: str) -> Reply:
    """A stream that stops after its beginning."""
    return streams(*first, ": nothing more\n\n", pause=30)


@pytest.mark.parametrize("reply", [silent(), silent(STARTED)])
def test_a_cancelled_run_waits_for_no_streamed_answer(wait: Any, keeper: Keeper, reply: Reply) -> None:
    run = wait(reply)
    cancel(run.task)
    assert run.ends_soon()
    assert (again(run.task).status, keeper.ends) == ("cancelled", ["abandoned"])


@pytest.mark.parametrize("provider", FINE)
@pytest.mark.parametrize("how", [{}, {"in_head": True}])
def test_a_cancelled_run_waits_for_no_unstreamed_answer(wait: Any, provider: str, how: Any) -> None:
    run = wait(trickles(FINE[provider], pause=30, **how), provider=provider)
    cancel(run.task)
    assert run.ends_soon()
    assert again(run.task).status == "cancelled"


def test_a_deleted_task_stops_its_run_too(wait: Any) -> None:
    run = wait(trickles(completion(), pause=30))
    run.task.delete()
    assert run.ends_soon()


def test_a_run_that_is_handed_over_loses_nothing(wait: Any, keeper: Keeper) -> None:
    run = wait(silent(STARTED), streams(STARTED, event(chunk({"content": "it."}, "stop"))))
    for stop in run.heart._running.values():
        stop.set()
    assert run.ends_soon()  # and its job, which was published again, has run the task to its end
    assert answer_of(run.task) == "Half of it."
    assert sorted(Attempt.objects.values_list("token", "outcome")) == [(1, "released"), (2, "finished")]
    assert keeper.ends == ["abandoned", "end"]
    assert len({told.message_id for told in keeper.answers}) == 2


def test_a_pause_ends_the_wait_too(wait: Any, work: Any, published: list[Any]) -> None:
    run = wait(trickles(completion(), pause=30), says(completion()))
    pause = Pause.objects.create(scope="user", value="ann", reason="r")
    assert run.ends_soon()
    assert again(run.task).status == "pending"
    Pause.objects.filter(pk=pause.pk).update(lifted_at=pause.created_at)
    published.append(run.task.pk)
    work()
    assert answer_of(run.task) == "Done."


def test_a_tool_that_waits_for_a_model_ends_and_runs_once(wait: Any, settings: Any, keeper: Keeper) -> None:
    settings.AGENTS["default"]["TOOLS"] = [f"{__name__}.ask_another"]
    called = says(completion(None, ("ask_another", {"text": "hello"})))
    run = wait(called, trickles(completion("From within."), pause=0.01), says(completion("At last.")), at=1)
    for stop in run.heart._running.values():
        stop.set()
    run.thread.join(20)
    assert answer_of(run.task) == "At last."
    (row,) = ToolCall.objects.all()
    assert (row.status, row.runs, "From within." in row.result_text) == ("succeeded", 1, True)
    assert [attempt.outcome for attempt in Attempt.objects.order_by("token")] == ["released", "finished"]
    assert keeper.ends == ["end"] * 3


def test_a_running_task_that_goes_on_is_not_disturbed(wait: Any) -> None:
    run = wait(trickles(completion(), pause=0.005))
    run.thread.join(20)
    assert answer_of(run.task) == "Done."
