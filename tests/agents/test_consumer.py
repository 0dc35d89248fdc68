"""How a worker comes back to the broker."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import WorkerLostError
from celery.worker.consumer import Consumer as CelerysOwn
from django.conf import settings
from redis.exceptions import ReadOnlyError

from agents.worker import listening
from agents.worker.consumer import Consumer


def seconds_until_connected(kind: Any, failures: int, monkeypatch: Any) -> float:
    """For how long it pauses, all in all, where so many tries fail."""
    app = Celery("elsewhere", broker="memory://", set_as_current=False, broker_connection_retry_on_startup=True)
    one = kind.__new__(kind)
    one.app, one.first_connection_attempt, one.broker_connection_retry_attempt = app, True, 0
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr("kombu.utils.functional.sleep", slept.append)
    with app.connection_for_read() as connection:
        connect = connection._connection_factory
        left = [connection.recoverable_connection_errors[0]("away")] * failures

        def fail_first() -> Any:
            if left:
                raise left.pop()
            return connect()

        connection._connection_factory = fail_first
        assert one.ensure_connected(connection) is not None
    return sum(slept)


def test_workers_use_it() -> None:
    assert f"{Consumer.__module__}:{Consumer.__name__}" == settings.CELERY_WORKER_CONSUMER


def steps_of(kind: Any, **given: bool) -> set[str]:
    """The parts of Celery's consumer that run in a worker started with these options."""
    app = Celery("elsewhere", broker="redis://127.0.0.1:9", set_as_current=False)
    pool, worker = SimpleNamespace(num_processes=1, is_green=False), SimpleNamespace(use_eventloop=False)
    made = kind(lambda request: None, app=app, pool=pool, controller=worker, worker_options=given)
    return {type(step).__name__ for step in made.steps}


@pytest.mark.parametrize("given", [{}, {"without_heartbeat": False, "without_gossip": False, "without_mingle": False}])
def test_it_publishes_no_events_whatever_the_command_says(given: dict[str, bool]) -> None:
    assert steps_of(Consumer, **given).isdisjoint({"Heart", "Gossip", "Mingle"})


def test_control_celerys_own_publishes_them() -> None:
    assert steps_of(CelerysOwn) >= {"Heart", "Gossip", "Mingle"}


def test_it_never_pauses_for_more_than_a_second(monkeypatch: Any) -> None:
    for failures in range(1, 15):
        shorter = seconds_until_connected(Consumer, failures - 1, monkeypatch)
        assert 0 < seconds_until_connected(Consumer, failures, monkeypatch) - shorter <= 1.01


def test_control_celerys_own_pauses_for_longer_and_longer(monkeypatch: Any) -> None:
    assert seconds_until_connected(CelerysOwn, 5, monkeypatch) == 2 + 4 + 6 + 8 + 10


@pytest.fixture
def one(monkeypatch: Any) -> Any:
    """A consumer that has just lost its connection, and for how long it has paused."""
    made: Any = Consumer.__new__(Consumer)
    made.connection_errors, made.slept = (ConnectionError,), []
    monkeypatch.setattr(time, "sleep", made.slept.append)
    return made


def test_after_a_refusal_it_leaves_the_broker_alone_for_a_moment_and_says_why(one: Any, caplog: Any) -> None:
    one._pause_after(ReadOnlyError("You can't write against a read only replica."))
    assert one.slept == [1.0]
    assert "no jobs are taken now, the broker is tried again: You can't write" in caplog.text


def test_what_is_no_error_of_the_brokers_is_told_with_its_traceback(one: Any, caplog: Any) -> None:
    one._pause_after(TypeError("int is no message"))
    assert caplog.records[0].exc_info


def test_a_connection_that_was_lost_is_tried_again_at_once(one: Any) -> None:
    one._pause_after(ConnectionError())
    assert one.slept == []


def test_a_pool_that_does_not_start_ends_the_worker(one: Any) -> None:
    with pytest.raises(WorkerLostError):
        one._pause_after(WorkerLostError("Could not start worker processes"))


def test_it_listens_only_after_a_while_without_an_error(one: Any, monkeypatch: Any) -> None:
    noted: list[bool] = []
    monkeypatch.setattr(listening, "note", lambda: noted.append(True))
    one._steady_at = time.monotonic() + 60
    one._note()
    assert noted == []
    one._steady_at = time.monotonic() - 1
    one._note()
    assert noted == [True]
