"""What a step has written waits for the step's checkpoint, for a moment, on PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint
from langgraph.types import Interrupt

from agents.checkpoints import fenced_saver
from agents.models import Attempt, Task
from agents.state import tasks
from tests.support.helpers import answer_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_checkpoints"),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="on SQLite nothing waits"),
]


@pytest.fixture
def attempt(invoke: Callable[..., Task]) -> Attempt:
    found = tasks.claim(invoke("x").pk, "w")
    assert found is not None
    return found


@pytest.fixture
def saver(attempt: Attempt) -> Iterator[Any]:
    """A saver that has stored one checkpoint."""
    with fenced_saver.saver_of(attempt) as saver:
        yield saver


@pytest.fixture
def config(attempt: Attempt, saver: Any) -> Any:
    about = {"configurable": {"thread_id": str(attempt.task_id), "checkpoint_ns": ""}}
    return saver.put(about, empty_checkpoint(), {"source": "loop", "step": 0}, {})


def stored() -> list[tuple[str, str]]:
    """Return node and channel of all writes that are in the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT task_id, channel FROM checkpoint_writes ORDER BY task_id, idx")
        return list(cursor.fetchall())


def test_writes_come_with_the_next_checkpoint(saver: Any, config: Any) -> None:
    saver.put_writes(config, [("messages", "hello")], "a")
    assert stored() == []
    saver.put(config, empty_checkpoint(), {"source": "loop", "step": 1}, {})
    assert stored() == [("a", "messages")]


def test_without_one_they_are_stored_after_a_moment(saver: Any, config: Any) -> None:
    saver.put_writes(config, [("messages", "hello")], "a")
    time.sleep(fenced_saver.HELD + 0.5)
    assert stored() == [("a", "messages")]


@pytest.mark.parametrize(
    ("channel", "value"),
    [("__interrupt__", (Interrupt("?", id="i"),)), ("__error__", "it broke"), ("__resume__", ["yes"])],
)
def test_questions_answers_and_errors_are_stored_at_once_with_what_waits(
    saver: Any, config: Any, channel: str, value: Any
) -> None:
    saver.put_writes(config, [("messages", "hello")], "a")
    saver.put_writes(config, [(channel, value)], "b")
    assert stored() == [("a", "messages"), ("b", channel)]


def test_who_reads_them_finds_them(saver: Any, config: Any) -> None:
    saver.put_writes(config, [("messages", "hello")], "a")
    found: CheckpointTuple = saver.get_tuple(config)
    assert found.pending_writes == [("a", "messages", "hello")]


def test_a_run_that_stops_leaves_none_behind(attempt: Attempt) -> None:
    about: Any = {"configurable": {"thread_id": str(attempt.task_id), "checkpoint_ns": ""}}
    with fenced_saver.saver_of(attempt) as saver:
        config = saver.put(about, empty_checkpoint(), {"source": "loop", "step": 0}, {})
        saver.put_writes(config, [("messages", "hello")], "a")
    assert stored() == [("a", "messages")]


def test_of_an_attempt_that_is_over_nothing_is_stored(attempt: Attempt, saver: Any, config: Any) -> None:
    saver.put_writes(config, [("messages", "hello")], "a")
    tasks.cancel(attempt.task)
    saver.flush()
    assert stored() == []
    with pytest.raises(tasks.StaleAttempt):
        saver.put(config, empty_checkpoint(), {"source": "loop", "step": 1}, {})


def test_a_run_stores_its_writes_with_its_checkpoints(invoke: Any, work: Any, monkeypatch: Any) -> None:
    written: list[int] = []
    write = fenced_saver.FencedPostgresSaver._write

    def noted(self: Any, batch: Any) -> None:
        written.append(len(batch.statements))
        write(self, batch)

    monkeypatch.setattr(fenced_saver.FencedPostgresSaver, "_write", noted)
    task = invoke("multiply 6 by 7")
    work()
    assert "42" in answer_of(task)
    assert len(written) == 5
    assert len(stored()) > 0
