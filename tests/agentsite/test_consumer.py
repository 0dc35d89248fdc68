"""How a worker comes back to the broker."""

import time
from typing import Any

from celery import Celery
from celery.worker.consumer import Consumer as CelerysOwn
from django.conf import settings

from agentsite.consumer import Consumer


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


def test_it_never_pauses_for_more_than_a_second(monkeypatch: Any) -> None:
    for failures in range(1, 15):
        shorter = seconds_until_connected(Consumer, failures - 1, monkeypatch)
        assert 0 < seconds_until_connected(Consumer, failures, monkeypatch) - shorter <= 1.01


def test_control_celerys_own_pauses_for_longer_and_longer(monkeypatch: Any) -> None:
    assert seconds_until_connected(CelerysOwn, 5, monkeypatch) == 2 + 4 + 6 + 8 + 10
