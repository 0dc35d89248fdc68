"""A run is told to stop within a second, whoever ends its attempt and wherever that happens."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents import services
from agents.models import Attempt
from agents.state import tasks
from agents.worker.heartbeat import Heart
from tests.support.helpers import again, path_of

pytestmark = pytest.mark.django_db(transaction=True)

ENDS: dict[str, Callable[[Any, Any, Attempt], Any]] = {
    "cancel": lambda invoke, api, attempt: services.cancel(again(attempt.task)),
    "interrupt": lambda invoke, api, attempt: invoke("stop", multitask_strategy="interrupt"),
    "rollback": lambda invoke, api, attempt: invoke("stop", multitask_strategy="rollback"),
    "delete": lambda invoke, api, attempt: api.delete(path_of(again(attempt.task)).replace("status", "task")),
    "overrun": lambda invoke, api, attempt: tasks.overrun(attempt),
}


@pytest.fixture
def heart(settings: Any) -> Iterator[Heart]:
    """Its beats are far apart, as they are in a service: none of them may tell."""
    settings.TASK_HEARTBEAT_SECONDS, settings.TASK_LEASE_SECONDS = 100.0, 300.0
    own = Heart()
    yield own
    own.stop()


@pytest.mark.parametrize("end", ENDS)
def test_a_run_is_told_within_a_second(invoke: Any, api: Any, heart: Heart, end: str) -> None:
    attempt = tasks.claim(invoke("x").pk, "w")
    other = tasks.claim(invoke("x", session="s2").pk, "w")
    assert attempt is not None
    assert other is not None
    with heart.keeping(attempt) as stop, heart.keeping(other) as goes_on:
        time.sleep(0.1)
        ENDS[end](invoke, api, attempt)
        ended = time.monotonic()
        assert stop.wait(5)
        assert time.monotonic() - ended < 1.0
        assert not goes_on.is_set()


def test_the_watcher_asks_for_nothing_while_nothing_runs(django_assert_num_queries: Any, db: None) -> None:
    with django_assert_num_queries(0):
        Heart().watch()


def test_a_watch_costs_two_queries(invoke: Any, django_assert_num_queries: Any) -> None:
    own = Heart()
    own.start = lambda: None  # type: ignore[method-assign]
    attempt = tasks.claim(invoke("x").pk, "w")
    assert attempt is not None
    with own.keeping(attempt) as stop:
        own.watch()  # the pause file is looked at first
        with django_assert_num_queries(2):
            own.watch()
        assert isinstance(stop, threading.Event)
        assert not stop.is_set()
