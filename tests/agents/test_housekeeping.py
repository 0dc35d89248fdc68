"""What one worker clears away once a day, beside the heart that keeps leases alive."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session as Login
from django.core.checks import run_checks
from django.utils import timezone
from django_celery_results.models import TaskResult

from agents.maintenance import cleanup, sweeper
from agents.models import Attempt, Chore, IdempotencyKey, Session, Task
from agents.state import tasks
from agents.worker.heartbeat import Heart
from core.models import ApiKey
from tests.support.concurrency import in_threads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_checkpoints")]

LONG_AGO = timezone.now() - timedelta(days=400)


def keep_house() -> dict[str, int]:
    """What it deleted."""
    return {name: count for name, count in cleanup.keep_house(threading.Event()).items() if count}


def due_in() -> timedelta:
    return Chore.objects.get(name=cleanup.CHORE).due_at - timezone.now()


def old_session() -> None:
    Session.objects.create(user_id="ann", session_id="s1", created_at=LONG_AGO)


def job(name: str, done: Any) -> None:
    TaskResult.objects.create(task_id=name)
    TaskResult.objects.update(date_done=done)


def test_sessions_are_kept_for_ever_unless_a_setting_says_otherwise(settings: Any) -> None:
    old_session()
    assert keep_house() == {}
    settings.SESSION_RETENTION_DAYS = 30
    assert keep_house() == {"old_sessions": 1}


def test_used_up_idempotency_keys_go_after_a_day(ann: Any) -> None:
    for age in (2, 0):
        made = timezone.now() - timedelta(days=age)
        IdempotencyKey.objects.create(principal=ann, key=f"k{age}", created_at=made)
    assert keep_house() == {"used_up_idempotency_keys": 1}
    assert IdempotencyKey.objects.get().key == "k0"


def test_notes_of_failed_jobs_go_after_their_days(settings: Any) -> None:
    job("old", LONG_AGO)
    TaskResult.objects.create(task_id="new")
    settings.JOB_RETENTION_DAYS = 0
    assert keep_house() == {}
    settings.JOB_RETENTION_DAYS = 30
    assert keep_house() == {"failed_jobs": 1}
    assert TaskResult.objects.get().task_id == "new"


def test_dead_api_keys_go_after_their_days(ann: Any, settings: Any) -> None:
    for name, expires in (("expired", LONG_AGO), ("soon", timezone.now()), ("never", None)):
        ApiKey.objects.create_key(name=name, user=ann, expiry_date=expires)
    settings.KEY_RETENTION_DAYS = 0
    assert keep_house() == {}
    settings.KEY_RETENTION_DAYS = 90
    assert keep_house() == {"dead_api_keys": 1}
    assert set(ApiKey.objects.values_list("name", flat=True)) == {"soon", "never"}


def test_a_revoked_keys_days_begin_when_it_is_found_revoked(ann: Any) -> None:
    ApiKey.objects.create_key(name="k", user=ann)
    ApiKey.objects.update(revoked=True, created=LONG_AGO)
    assert keep_house() == {}
    ApiKey.objects.update(revoked_at=LONG_AGO)
    assert keep_house() == {"dead_api_keys": 1}


def test_expired_logins_go() -> None:
    Login.objects.create(session_key="old", session_data="", expire_date=LONG_AGO)
    Login.objects.create(session_key="new", session_data="", expire_date=timezone.now() + timedelta(days=1))
    keep_house()
    assert Login.objects.get().session_key == "new"


def test_a_thread_that_lost_its_task_goes(invoke: Any, work: Any) -> None:
    invoke("book the Ritz for 2 nights")
    work()
    Task.objects.all().delete()
    assert keep_house()["orphaned_checkpoints"] >= 1


def test_one_duty_that_fails_does_not_keep_the_others_from_being_done(monkeypatch: Any, settings: Any) -> None:
    def fails() -> Iterator[int]:
        raise RuntimeError("a bad row")
        yield 1

    monkeypatch.setattr(cleanup, "DUTIES", (fails, cleanup.old_sessions))
    settings.SESSION_RETENTION_DAYS = 30
    old_session()
    assert keep_house() == {"old_sessions": 1}


def test_it_is_done_once_a_day() -> None:
    assert [cleanup.claim() for _ in range(2)] == [True, False]
    keep_house()
    assert timedelta(hours=23) < due_in() <= timedelta(days=1)
    assert not cleanup.claim()


def test_of_many_workers_one_does_it() -> None:
    assert sorted(in_threads(8, lambda number: cleanup.claim())) == [False] * 7 + [True]


def test_a_worker_that_is_stopped_in_it_leaves_the_rest_for_soon(settings: Any, event: Any) -> None:
    settings.SESSION_RETENTION_DAYS = 30
    cleanup.claim()
    old_session()
    Session.objects.create(user_id="ann", session_id="s2", created_at=LONG_AGO)
    event.set()
    cleanup.keep_house(event)
    assert due_in() <= timedelta(seconds=cleanup.HELD)


def test_a_database_that_is_away_raises_nothing(monkeypatch: Any, caplog: Any, event: Any) -> None:
    monkeypatch.setattr(cleanup, "keep_house", lambda stop: 1 / 0)
    cleanup.run(event)
    assert "housekeeping" in caplog.text


class Slow:
    """A duty that takes until the test lets it go."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.over = threading.Event(), threading.Event(), threading.Event()

    def duty(self) -> Iterator[int]:
        self.begun.set()
        self.go_on.wait(30)
        self.over.set()
        yield 1


@pytest.fixture
def slow(monkeypatch: Any) -> Iterator[Slow]:
    made = Slow()
    monkeypatch.setattr(cleanup, "DUTIES", (made.duty,))
    yield made
    made.go_on.set()


@pytest.fixture
def heart(slow: Slow) -> Iterator[Heart]:
    made = Heart()
    yield made
    slow.go_on.set()
    made.stop()


def test_leases_are_renewed_however_long_it_takes(
    heart: Heart, slow: Slow, invoke: Any, settings: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sweeper, "sweep_if_due", lambda: None)  # it would take the task of a lease that is over
    settings.TASK_HEARTBEAT_SECONDS = settings.TASK_SWEEP_SECONDS = 0.05
    attempt = tasks.claim(invoke("x").pk, "w")
    assert attempt is not None
    with heart.keeping(attempt):
        assert slow.begun.wait(30)
        Attempt.objects.update(lease_until=LONG_AGO)
        while Attempt.objects.get().lease_until < timezone.now() and not slow.over.is_set():
            time.sleep(0.01)
        assert not slow.over.is_set()


def test_a_second_one_is_not_started_while_the_first_goes_on(heart: Heart, slow: Slow, settings: Any) -> None:
    settings.TASK_SWEEP_SECONDS = 0.05
    heart.start()
    assert slow.begun.wait(30)
    Chore.objects.filter(name=cleanup.CHORE).update(due_at=LONG_AGO)
    time.sleep(0.5)
    assert Chore.objects.get(name=cleanup.CHORE).due_at == LONG_AGO


@pytest.mark.parametrize("name", ["SESSION_RETENTION_DAYS", "JOB_RETENTION_DAYS", "KEY_RETENTION_DAYS"])
@pytest.mark.parametrize("days", [-1, 36_501])
def test_days_that_make_no_sense_fail_the_checks(settings: Any, name: str, days: int) -> None:
    setattr(settings, name, days)
    assert [error.id for error in run_checks() if name in error.msg] == ["agents.E006"]


def test_the_settings_are_sane_as_they_come() -> None:
    assert not [error for error in run_checks() if error.id == "agents.E006"]
