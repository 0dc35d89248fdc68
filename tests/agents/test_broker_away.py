"""Work is accepted also while the broker is away or deaf."""

import socket
import time
from typing import Any

import pytest
from django.db.models import F

from agents import broker
from agents.maintenance import sweeper
from agents.models import Attempt, Chore, Task
from agents.state import tasks
from tests.support.helpers import noting

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"user_id": "ann", "session_id": "s1", "task_id": "t1", "query": "multiply 6 by 7"}


def accepted_within(api: Any, seconds: float) -> Task:
    started = time.monotonic()
    assert api.post("/agent/invoke", BODY).status_code == 202
    assert time.monotonic() - started < seconds
    return Task.objects.get()


def test_with_the_broker_away_it_is_a_202(api: Any, real_broker: Any) -> None:
    real_broker(9)
    assert accepted_within(api, 3).status == "pending"


def test_with_a_broker_that_accepts_and_never_answers_too(api: Any, real_broker: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        real_broker(deaf.getsockname()[1])
        assert accepted_within(api, 15).status == "pending"


def test_publishing_never_raises(real_broker: Any) -> None:
    real_broker(9)
    assert not broker.publish(Task().pk)


def test_a_job_that_the_broker_did_not_take_is_published_by_the_next_sweep(
    api: Any, real_broker: Any, monkeypatch: Any
) -> None:
    real_broker(9)
    task = accepted_within(api, 3)
    sweeper.sweep()  # still away
    taken: list[Any] = []
    monkeypatch.setattr(broker, "publish", noting(taken))
    monkeypatch.setattr(broker, "waiting", lambda: len(taken))
    sweeper.sweep()
    sweeper.sweep()
    assert taken == [task.pk]


def test_a_sweep_asks_a_broker_that_is_away_only_once(
    api: Any, real_broker: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_broker(9)
    monkeypatch.setattr(broker, "SLOW", 60.0)  # a busy machine may take a second to be refused: that is another test's
    for number in range(5):
        api.post("/agent/invoke", BODY | {"session_id": f"s{number}"})
    caplog.clear()
    Task.objects.filter(session__session_id="s0").update(published_at="2020-01-01T00:00:00Z")
    done = sweeper.sweep()
    assert (done["republish_lost"], done["republish_oldest"], caplog.text.count("the broker")) == (0, 0, 1)
    assert not broker.publish(Task().pk)
    assert caplog.text.count("the broker") == 2  # after the sweep it is asked anew


def test_a_broker_that_did_not_take_the_job_of_one_duty_is_not_asked_by_the_next(
    api: Any, real_broker: Any, monkeypatch: Any
) -> None:
    real_broker(9)
    task = accepted_within(api, 3)
    tasks.claim(task.pk, "dead")
    api.post("/agent/invoke", BODY | {"session_id": "s2"})
    Attempt.objects.update(lease_until="2020-01-01T00:00:00Z")
    monkeypatch.setattr(broker, "waiting", lambda: pytest.fail("asked"))
    assert sweeper.sweep()["lapse_leases"] == 1


def test_while_it_is_away_sweeps_come_sooner(api: Any, real_broker: Any) -> None:
    real_broker(9)
    accepted_within(api, 3)
    sweeper.sweep_if_due()
    due = Chore.objects.annotate(left=F("due_at") - sweeper.Now()).get(name=sweeper.SWEEP)
    assert 4 < due.left.total_seconds() <= 7.5


def test_after_a_deaf_broker_has_cost_its_time_the_next_requests_do_not_wait(api: Any, real_broker: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        real_broker(deaf.getsockname()[1])
        accepted_within(api, 15)
        started = time.monotonic()
        assert not broker.publish(Task().pk)
        assert time.monotonic() - started < 1
