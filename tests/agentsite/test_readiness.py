"""`/health/ready`: only the database counts."""

from typing import Any

import pytest
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder

from agentsite import readiness
from tests.conftest import client_of, grant

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


def test_a_broker_that_is_away_is_told_and_changes_nothing(ann: Any, broker: Any) -> None:
    broker(9)
    response = ready(grant(ann, "agents.view_system"))
    assert (response.status_code, response.json()["broker"]) == (200, "unreachable")
