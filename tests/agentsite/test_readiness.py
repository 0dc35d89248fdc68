"""`/health/ready`: only the database counts."""

import os
import uuid
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from agents.models import WorkerProcess
from agents.worker import listening
from agents.worker.heartbeat import Heart
from agentsite.api import readiness
from tests.support.accounts import client_of, grant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_migrated", False)


def ready(user: Any = None) -> Any:
    return client_of(user).get("/health/ready")


def test_a_migrated_database_is_ready() -> None:
    assert [ready().status_code for _ in range(2)] == [200, 200]
    assert ready().json() == {"status": "ready", "message": "The service accepts work."}


def test_a_missing_migration_is_named() -> None:
    MigrationRecorder.Migration.objects.filter(app="reviews").delete()
    response = ready()
    assert (response.status_code, response.json()["code"]) == (503, "migrations_missing")
    assert "reviews.0001_initial" in response.json()["detail"]


def test_a_database_that_is_away_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(readiness, "missing_migrations", away)
    assert (ready().status_code, ready().json()["code"]) == (503, "unavailable")


def test_the_surroundings_are_for_those_who_may_see_the_system(ann: Any, bob: Any) -> None:
    assert "broker" not in ready(bob).json()
    seen = ready(grant(ann, "agents.view_system")).json()
    assert {"broker": "reachable", "last_heartbeat": None, "oldest_pending_seconds": None}.items() <= seen.items()


def test_a_broker_that_is_away_is_told_and_changes_nothing(ann: Any, real_broker: Any) -> None:
    real_broker(9)
    response = ready(grant(ann, "agents.view_system"))
    assert (response.status_code, response.json()["broker"]) == (200, "unreachable")


def test_workers_that_live_but_take_no_jobs_are_told(ann: Any) -> None:
    now = timezone.now()
    for name, silent in (("listens", 5), ("hangs", 40), ("never has", None)):
        listened_at = None if silent is None else now - timedelta(seconds=silent)
        WorkerProcess.objects.create(name=name, listened_at=listened_at)
    WorkerProcess.objects.create(name="gone", beat_at=now - timedelta(seconds=90), listened_at=now)
    seen = ready(grant(ann, "agents.view_system")).json()
    assert (seen["workers_alive"], seen["workers_listening"]) == (3, 1)
    assert "2 of 3 live worker processes take no jobs" in seen["message"]


@pytest.mark.parametrize(("pool", "listens"), [("threads", False), ("solo", True)])
def test_a_worker_that_does_one_job_at_a_time_listens_between_them(settings: Any, pool: str, listens: bool) -> None:
    settings.CELERY_WORKER_POOL = pool
    heart = Heart()
    heart._running[uuid.uuid4()] = Event()
    heart.beat()
    assert (readiness.workers()["workers_listening"] == 1) == listens


def test_a_heartbeat_tells_when_the_consumer_last_listened(monkeypatch: pytest.MonkeyPatch) -> None:
    for silent, count in ((None, 0), (3.0, 1), (60.0, 0)):
        monkeypatch.setattr(listening, "seconds_since", lambda silent=silent: silent)
        Heart().beat()
        assert readiness.workers()["workers_listening"] == count


def test_what_is_noted_is_seen_by_the_processes_that_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    listening.note()
    if (pid := os.fork()) == 0:
        os._exit(0 if (listening.seconds_since() or 99) < 10 else 1)
    assert os.waitpid(pid, 0)[1] == 0
