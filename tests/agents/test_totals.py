"""Totals of tasks and sessions: exact while they are few, else kept and carried on."""

import pytest
from django.utils import timezone

from agents.maintenance import sweeper
from agents.models import Chore, Session, Task
from agents.observability import totals

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "EXACT", 3)
    monkeypatch.setattr(totals, "SETTLED", 0.0)


def add(count: int, status: str = "completed") -> list[Task]:
    made = []
    for number in range(count):
        session = Session.objects.create(user_id="ann", session_id=f"{status}{Session.objects.count()}-{number}")
        ids = {"task_id": "t", "user_id": "ann", "position": 1}
        made.append(Task.objects.create(session=session, status=status, updated_at=timezone.now(), **ids))
    return made


def test_few_are_counted_and_nothing_is_kept() -> None:
    add(2)
    add(1, "interrupted")
    totals.keep()
    assert totals.tasks_by_status() == {"completed": 2, "interrupted": 1}
    assert not Chore.objects.filter(name=totals.CHORE).exists()


def test_many_are_counted_once_and_those_that_follow_are_added() -> None:
    add(5)
    assert totals.tasks_by_status() == {"completed": 5}  # before any sweeper came by
    totals.keep()
    made = add(2)
    assert totals.tasks_by_status() == {"completed": 7}
    assert totals.sessions() >= 5
    made[0].delete()
    assert totals.tasks_by_status() == {"completed": 6}


def test_what_was_deleted_is_left_out_at_the_next_count() -> None:
    made = add(6)
    totals.keep()
    made[0].delete()
    totals.keep()  # not due yet
    assert totals.tasks_by_status() == {"completed": 6}
    Chore.objects.filter(name=totals.CHORE).update(due_at="2026-01-01T00:00:00Z")
    totals.keep()
    assert totals.tasks_by_status() == {"completed": 5}


def test_the_sweeper_keeps_them() -> None:
    add(5)
    assert sweeper.keep_totals() == 0
    assert Chore.objects.filter(name=totals.CHORE).exists()
