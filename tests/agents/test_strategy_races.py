"""Submissions with any two strategies at the same moment, and one beside what a worker or a person does: one winner."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from agents import services
from agents.models import ACTIVE, FINAL, Attempt, Interrupt, Session, Task, ToolCall
from agents.services import STRATEGIES, SessionBusy
from agents.state import tasks, tool_calls
from core.errors import AgentsiteError
from reviews.decisions.services import Choice, decide
from tests.support.concurrency import in_threads
from tests.support.rows import question

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("no_checkpoints")]

ROUNDS = int(os.environ.get("RACE_ROUNDS", "10"))  # of each race; more find what is rare
SUPERSEDING = ("interrupt", "rollback")


def submit(user: User, session: str, strategy: str, name: str, key: str = "") -> Task:
    body = services.Submission("ann", name, session, "" if key else name, multitask_strategy=strategy)
    return services.submit(body, user, key)


@pytest.fixture
def busy(reviewer: User, settings: Any) -> Callable[[str], Session]:
    """A new session: its active task is in this status, and another one is queued."""
    settings.TASKS_IN_FLIGHT_PER_USER = settings.TASKS_IN_FLIGHT_PER_PRINCIPAL = 0  # the rounds leave many
    count = itertools.count()

    def make(status: str) -> Session:
        name = f"s{next(count)}"
        active = submit(reviewer, name, "enqueue", "active")
        submit(reviewer, name, "enqueue", "queued")
        attempt = tasks.claim(active.pk, "w") if status != "pending" else None
        if attempt is not None and status == "interrupted":
            tasks.interrupt(attempt, [question(active, "c")])
        return active.session

    return make


@contextmanager
def watched(session: Session) -> Iterator[None]:
    """Fail if there is a moment inside the block at which the session has no active task, or two."""
    over = threading.Event()
    seen: set[int] = set()

    def look() -> None:
        while not over.is_set():
            seen.add(Task.objects.filter(session=session, status__in=ACTIVE).count())
        connection.close()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert seen <= {1}


def assert_as_if_one_after_the_other(session: Session, strategies: dict[str, str]) -> None:
    """Each task is as it would be if the submissions had come in the order of the positions."""
    expected: dict[str, tuple[str, str]] = {}
    for task in session.tasks.order_by("position"):
        strategy = strategies.get(task.query, "enqueue")
        if strategy in SUPERSEDING:
            left = [name for name, (status, _) in expected.items() if status != "cancelled"]
            expected.update(dict.fromkeys(left, ("cancelled", strategy)))
        is_free = all(status == "cancelled" for status, _ in expected.values())
        expected[task.query] = ("active" if is_free else "queued", "")
    found = {
        task.query: ("active" if task.status in ACTIVE else task.status, task.superseded)
        for task in session.tasks.order_by("position")
    }
    assert found == expected
    assert_nothing_is_left(session)


def assert_nothing_is_left(session: Session) -> None:
    """Nothing is open of a task that has ended, and no queued task waits for nothing."""
    ended = session.tasks.filter(status__in=FINAL)
    assert not Attempt.objects.filter(task__in=ended, ended_at=None).exists()
    assert not Interrupt.objects.filter(task__in=ended, status="pending").exists()
    assert session.tasks.filter(status__in=ACTIVE).count() == 1


def both(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """What the two gave or raised, at once."""
    one, other = in_threads(2, lambda number: (first, second)[number]())
    return one, other


@pytest.mark.parametrize("status", ["pending", "running", "interrupted"])
@pytest.mark.parametrize("pair", [*itertools.combinations_with_replacement(STRATEGIES, 2)], ids=" x ".join)
def test_two_submissions_at_once_are_as_if_one_came_after_the_other(
    busy: Callable[[str], Session], reviewer: User, pair: tuple[str, str], status: str
) -> None:
    strategies = {f"new{number}": strategy for number, strategy in enumerate(pair)}
    for _ in range(ROUNDS):
        session = busy(status)
        sending = [partial(submit, reviewer, session.session_id, how, name) for name, how in strategies.items()]
        with watched(session):
            answers = both(*sending)
        for strategy, answer in zip(pair, answers, strict=True):
            assert isinstance(answer, SessionBusy if strategy == "reject" else Task), answer
        assert_as_if_one_after_the_other(session, strategies)


@pytest.mark.parametrize("key", ["", "key"])
@pytest.mark.parametrize("strategy", SUPERSEDING)
def test_one_submission_twice_at_once_counts_once(
    busy: Callable[[str], Session], reviewer: User, strategy: str, key: str
) -> None:
    for round_ in range(ROUNDS):
        session = busy("interrupted")
        sent = partial(submit, reviewer, session.session_id, strategy, "new0", f"{key}{round_}" if key else "")
        one, other = both(sent, sent)
        assert one.pk == other.pk
        assert_as_if_one_after_the_other(session, {"new0": strategy})


def lapse(attempt: Attempt) -> str | None:
    Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(lease_until="2020-01-01T00:00:00Z")
    return tasks.lapse(attempt, "")


ENTRY = tool_calls.Entry("m", "c", "charge", "{}", "d")
# By name: in which status of the task, and what is done to it.
BESIDE: dict[str, tuple[str, Callable[[Task, Any, User], Any]]] = {
    "claim": ("pending", lambda task, attempt, user: tasks.claim(task.pk, "w")),
    "finish": ("running", lambda task, attempt, user: tasks.finish(attempt, {"messages": []})),
    "fail": ("running", lambda task, attempt, user: tasks.fail(attempt, "broken")),
    "pause": ("running", lambda task, attempt, user: tasks.interrupt(attempt, [question(task, "c")])),
    "release": ("running", lambda task, attempt, user: tasks.release(attempt)),
    "call": ("running", lambda task, attempt, user: tool_calls.enter(attempt, ENTRY)),
    "lapse": ("running", lambda task, attempt, user: lapse(attempt)),
    "decide": ("interrupted", lambda task, attempt, user: decide(task.interrupts.get().pk, user, Choice("accept"))),
    "cancel": ("interrupted", lambda task, attempt, user: tasks.cancel(task)),
    "delete": (
        "interrupted",
        lambda task, attempt, user: services.delete_task("ann", task.session.session_id, "active"),
    ),
}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("strategy", SUPERSEDING)
def test_a_newcomer_beside_anything_else_is_the_only_active_task(
    busy: Callable[[str], Session], reviewer: User, strategy: str, beside: str
) -> None:
    status, act = BESIDE[beside]
    for _ in range(ROUNDS):
        session = busy(status)
        older = session.tasks.select_related("session").get(task_id="active")
        attempt = Attempt.objects.select_related("task").filter(task=older, ended_at=None).first()
        new, other = both(
            partial(submit, reviewer, session.session_id, strategy, "new0"), partial(act, older, attempt, reviewer)
        )
        assert isinstance(new, Task), new
        assert not isinstance(other, Exception) or isinstance(other, (tasks.StaleAttempt, AgentsiteError)), other
        assert Task.objects.get(pk=new.pk).status == "pending"
        assert set(session.tasks.exclude(pk=new.pk).values_list("status", flat=True)) <= set(FINAL)
        assert_nothing_is_left(session)
        entered = ToolCall.objects.filter(task=older).count()
        assert entered == (beside == "call" and not isinstance(other, Exception))
