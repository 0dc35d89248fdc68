"""The database's clock in updates and filters, the same on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import DateTimeField, Value
from django.utils import timezone

from agents.models import Attempt, Session, Task
from agents.state import tasks
from core.db.clock import Now, SecondsSince, seconds_from_now
from tests.support.concurrency import lapse_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> Session:
    return Session.objects.create(user_id="ann", session_id="s1")


def seconds_since(moment: Any) -> float:
    return float(Session.objects.annotate(found=SecondsSince(moment)).values_list("found", flat=True).get())


@pytest.mark.parametrize("seconds", [0.25, 90.5, 40 * 86_400.0, -30.0])
def test_seconds_since_a_moment_of_pythons(session: Session, seconds: float) -> None:
    moment = Value(timezone.now() - timedelta(seconds=seconds), DateTimeField())
    assert seconds_since(moment) == pytest.approx(seconds, abs=0.2)


def test_seconds_since_a_moment_in_a_column(session: Session) -> None:
    assert 0 <= seconds_since("created_at") + 0.002 < 5


def test_seconds_from_now_lie_ahead_and_behind(session: Session) -> None:
    Session.objects.update(created_at=Now())
    assert Session.objects.filter(created_at__lt=seconds_from_now(1)).exists()
    assert not Session.objects.filter(created_at__lt=seconds_from_now(-1)).exists()


@pytest.mark.django_db(transaction=True)
def test_what_a_task_has_run_is_the_time_of_all_its_attempts(invoke: Any, work: Any) -> None:
    task = invoke("multiply 6 by 7")
    tasks.claim(task.pk, "dead")
    lapse_all()
    work()
    attempts = Attempt.objects.filter(task=task)
    total = sum((one.ended_at - one.started_at).total_seconds() for one in attempts if one.ended_at)
    assert attempts.count() > 1
    assert Task.objects.get(pk=task.pk).run_seconds == pytest.approx(total, abs=0.05 * attempts.count())
