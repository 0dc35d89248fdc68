"""Work is accepted also while the broker is away or deaf."""

import socket
import time
from typing import Any

import pytest

from agents import queue
from agents.models import Task

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
    queue.publish(Task().pk)
