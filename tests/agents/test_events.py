"""What is told of a task, once each, in the transaction of what it tells."""

from typing import Any

import pytest
from django.db import transaction
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph

from agents.models import Attempt, Event, Interrupt, Task
from agents.runtime.history.message_events import LONGEST, custom
from agents.services import cancel, delete_session
from agents.state import events, tasks
from reviews.decisions.services import Choice, decide
from tests.support.helpers import again, answer_of, messages_of, open_review
from tests.support.oracle import Crash

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle")]


def told(task: Task) -> list[str]:
    """The kinds of the task's events in their order, and which status; `seq` counts without gaps."""
    rows = list(Event.objects.filter(task=task).order_by("seq"))
    assert [row.seq for row in rows] == list(range(1, again(task).last_seq + 1))
    return [row.data["status"] if row.kind == "status" else row.kind for row in rows]


def messages(task: Task) -> list[dict[str, Any]]:
    return [row.data for row in Event.objects.filter(task=task, kind="message").order_by("seq")]


def test_a_run_with_a_free_call_is_told_in_its_order(invoke: Any, work: Any) -> None:
    task = invoke("multiply 6 by 7")
    work()
    expected = ["pending", "running", "message", "message", "tool_started", "tool_finished", "message", "message"]
    assert told(task) == [*expected, "completed"]


def test_the_messages_are_those_of_the_result(invoke: Any, work: Any) -> None:
    task = invoke("multiply 6 by 7")
    work()
    assert messages(task) == messages_of(task)


def test_a_review_is_told_with_its_decision(booking: Interrupt, work: Any, reviewer: Any) -> None:
    decide(booking.pk, reviewer, Choice("accept"))
    work()
    kinds = told(booking.task)
    assert kinds[4:9] == ["interrupt", "interrupted", "decision", "pending", "running"]
    assert kinds[-1] == "completed"
    asked, decided = (Event.objects.get(task=booking.task, kind=kind).data for kind in ("interrupt", "decision"))
    assert (asked["interrupt_id"], asked["action_request"]["action"]) == (str(booking.pk), "book_hotel")
    assert decided == {"interrupt_id": str(booking.pk), "response_type": "accept", "by": reviewer.username}


def test_an_earlier_task_of_the_session_is_not_told_again(invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    task = invoke("multiply 2 by 3")
    work()
    assert messages(task) == messages_of(task)


def test_a_failed_task_says_why(invoke: Any, work: Any, model_server: Any) -> None:
    task = invoke("fail please")
    tasks.fail(claimed(task), "It went wrong.")
    assert told(task)[-1] == "error"
    assert Event.objects.filter(task=task).order_by("-seq")[0].data == {"status": "error", "message": "It went wrong."}


def claimed(task: Task) -> Attempt:
    attempt = tasks.claim(task.pk, "w")
    assert attempt is not None
    return attempt


def test_a_worker_that_dies_in_a_tool_repeats_no_message(invoke: Any, crash: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call charge_and_crash with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    crash()
    work()
    decide(open_review(task).pk, reviewer, Choice("response", args="it happened"))
    work()
    answer_of(task)
    assert messages(task) == messages_of(task)
    assert told(task).count("tool_started") == 1


@pytest.mark.parametrize("place", ["before-checkpoint", "after-checkpoint"])
def test_a_worker_that_dies_at_any_checkpoint_tells_each_message_once(
    invoke: Any, crash: Any, work: Any, monkeypatch: Any, place: str
) -> None:
    task = invoke("multiply 6 by 7")
    died: list[str] = []

    def die(name: str) -> None:
        if name == place and len(died) < 4:
            died.append(name)
            raise Crash

    monkeypatch.setattr("agents.checkpoints.fenced_saver.failpoints.here", die)
    monkeypatch.setattr("agents.checkpoints.fenced_saver.HELD", 60.0)  # only checkpoints write
    for _ in range(2):
        crash()
    died.extend(["enough"] * 4)
    work()
    assert "42" in answer_of(task)  # not what the messages were when it died
    assert messages(task) == messages_of(task)


def test_a_stale_attempt_tells_nothing(invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    attempt = claimed(task)
    cancel(task)
    with pytest.raises(tasks.StaleAttempt):
        tasks.append_event(attempt, custom("late"))
    assert told(task) == ["pending", "running", "cancelled"]


def test_a_deleted_session_leaves_no_events(invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    delete_session("ann", "s1")
    assert not Event.objects.exists()


def test_what_is_undone_is_not_told(invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    with pytest.raises(RuntimeError):
        with_an_error(task)
    assert told(task) == ["pending"]


def with_an_error(task: Task) -> None:
    with transaction.atomic():
        events.append(task, [custom("undone")])
        raise RuntimeError


def writing(agent: Any) -> Any:
    """A graph that writes with LangGraph's stream writer."""

    def step(state: MessagesState) -> dict[str, Any]:
        write = get_stream_writer()
        for one in ({"progress": 50}, "half", {1, 2}, "\x00", "x" * (LONGEST + 1)):
            write(one)
        return {"messages": [("ai", "done")]}

    graph = StateGraph(MessagesState)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_edge("step", END)
    return graph


def test_what_a_graph_writes_is_told(invoke: Any, work: Any, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "GRAPH": "tests.agents.test_events.writing"}}
    task = invoke("go")
    work()
    written = [row.data for row in Event.objects.filter(task=task, kind="custom").order_by("seq")]
    assert written[:2] == [{"value": {"progress": 50}}, {"value": "half"}]
    assert written[2:] == [{"value": "{1, 2}"}, {"value": "\ufffd"}, {"too_long": LONGEST + 3}]
    assert told(task)[-1] == "completed"
