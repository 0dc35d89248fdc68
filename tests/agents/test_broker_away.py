"""Work is accepted also while the broker is away or deaf."""

import socket
import time
from typing import Any

import pytest

from agents import queue, sweeper
from agents.models import Task
from tests.helpers import noting

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"user_id": "ann", "session_id": "s1", "task_id": "t1", "query": "multiply 6 by 7"}


def accepted_within(api: Any, seconds: float) -> Task:
    started = time.monotonic()
    assert api.post("/agent/invoke", BODY).status_code == 202
    assert time.monotonic() - started < seconds
    return Task.objects.get()


def test_with_the_broker_away_it_is_a_202(api: Any, broker: Any) -> None:
    broker(9)
    assert accepted_within(api, 3).status == "pending"


def test_with_a_broker_that_accepts_and_never_answers_too(api: Any, broker: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        broker(deaf.getsockname()[1])
        assert accepted_within(api, 15).status == "pending"


def test_publishing_never_raises(broker: Any) -> None:
    broker(9)
    assert not queue.publish(Task().pk)


def test_a_job_that_the_broker_did_not_take_is_published_by_the_next_sweep(
    api: Any, broker: Any, monkeypatch: Any
) -> None:
    broker(9)
    task = accepted_within(api, 3)
    sweeper.sweep()  # still away
    taken: list[Any] = []
    monkeypatch.setattr(queue, "publish", noting(taken))
    monkeypatch.setattr(queue, "waiting", lambda: len(taken))
    sweeper.sweep()
    sweeper.sweep()
    assert taken == [task.pk]


def test_a_sweep_asks_a_broker_that_is_away_only_once(api: Any, broker: Any, caplog: Any) -> None:
    broker(9)
    for number in range(5):
        api.post("/agent/invoke", BODY | {"session_id": f"s{number}"})
    caplog.clear()
    done = sweeper.sweep()
    assert (done["republish_lost"], caplog.text.count("takes no job now")) == (0, 1)
    assert not queue.publish(Task().pk)
    assert caplog.text.count("takes no job now") == 2  # after the sweep it is asked anew
