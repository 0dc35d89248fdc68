"""Jobs that went missing are published again, and only those."""

from typing import Any

import pytest
from celery import current_app
from django.db.models import F

from agents import broker
from agents.maintenance import sweeper
from agents.models import Chore, Task

pytestmark = pytest.mark.django_db(transaction=True)

PUBLISH = broker.publish  # the real one


@pytest.fixture
def five(invoke: Any, settings: Any) -> list[Task]:
    """Pending tasks, the oldest first, whose jobs a worker would have taken by now."""
    settings.CELERY_WORKER_DISABLE_PREFETCH = True  # as with Redis
    tasks = [invoke("multiply 6 by 7", session=f"s{number}") for number in range(5)]
    age(tasks, 10)
    return tasks


def age(tasks: list[Task], seconds: float) -> None:
    for number, task in enumerate(tasks):
        Task.objects.filter(pk=task.pk).update(published_at=sweeper.seconds_from_now(number / 100 - seconds))


def test_jobs_that_wait_for_a_worker_are_not_published_again(five: list[Task], published: list[Any]) -> None:
    for _ in range(3):
        assert sweeper.republish_lost() == 0
    assert published == [task.pk for task in five]


def test_as_many_are_published_as_are_missing(five: list[Task], published: list[Any]) -> None:
    del published[:2]
    assert sweeper.republish_lost() == 2
    assert sweeper.republish_lost() == 0
    assert published[3:] == [task.pk for task in five[:2]]


def test_a_job_that_was_published_just_now_may_be_on_its_way(five: list[Task], published: list[Any]) -> None:
    published.clear()
    age(five, 1)
    assert sweeper.republish_lost() == 0


def test_the_oldest_is_published_in_any_case_after_its_time(five: list[Task], published: list[Any]) -> None:
    published[:] = ["a job for nothing"] * 10
    age(five, 90)
    assert sweeper.republish_lost() == 0
    for task in five:
        assert sweeper.republish_oldest() == 1
        assert published.pop() == task.pk
    assert sweeper.republish_oldest() == 0


def test_where_the_broker_does_not_say_how_many_wait_only_the_oldest_is(
    five: list[Task], published: list[Any], monkeypatch: Any
) -> None:
    published.clear()
    monkeypatch.setattr(broker, "waiting", lambda: None)
    age(five, 90)
    done = sweeper.sweep()
    assert (done["republish_lost"], done["republish_oldest"]) == (0, 1)
    assert published == [five[0].pk]


def test_what_the_broker_did_not_take_is_published_whatever_waits(five: list[Task], published: list[Any]) -> None:
    published[:] = ["a job for nothing"] * 10
    Task.objects.filter(pk=five[3].pk).update(published_at=sweeper.tasks.LONG_AGO)
    assert sweeper.republish_lost() == 1
    assert published[10:] == [five[3].pk]


def test_what_a_busy_worker_may_have_reserved_is_not_missing_yet(
    five: list[Task], published: list[Any], settings: Any
) -> None:
    """Celery's workers reserve jobs unless Redis is the broker."""
    settings.CELERY_WORKER_DISABLE_PREFETCH = False
    published.clear()
    assert sweeper.republish_lost() == 0
    age(five, 90)
    assert sweeper.republish_lost() == 5


def test_a_broker_that_takes_no_more_gets_the_others_at_the_next_sweep(
    five: list[Task], published: list[Any], monkeypatch: Any
) -> None:
    published.clear()
    asked: list[Any] = []

    def take_one(name: str, **more: Any) -> None:
        asked.append(more)
        if len(asked) > 1:
            raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr(broker, "publish", PUBLISH)
        patch.setattr(current_app, "send_task", take_one)
        assert sweeper.sweep()["republish_lost"] == 1
    assert len(asked) == 2
    oldest = Task.objects.order_by("published_at").first()
    assert oldest == five[1], "which was asked for, and not taken"
    assert sweeper.sweep()["republish_lost"] == 4


@pytest.mark.parametrize(("lost", "seconds"), [(0, 15), (1, 7.5)])
def test_after_a_loss_the_next_sweep_comes_sooner(
    five: list[Task], published: list[Any], lost: int, seconds: float
) -> None:
    del published[:lost]
    sweeper.sweep_if_due()
    due = Chore.objects.annotate(seconds=F("due_at") - sweeper.Now()).get(name=sweeper.SWEEP)
    assert seconds - 2 < due.seconds.total_seconds() <= seconds


def test_of_two_sweepers_one_publishes(five: list[Task], published: list[Any]) -> None:
    seen = Task.objects.get(pk=five[0].pk)
    assert sweeper.tasks.republish(seen)
    assert not sweeper.tasks.republish(seen)
    assert len(published) == 6


def test_with_no_late_task_the_broker_is_not_asked(invoke: Any, monkeypatch: Any) -> None:
    invoke("multiply 6 by 7")
    monkeypatch.setattr(broker, "waiting", lambda: pytest.fail("asked"))
    assert sweeper.republish_lost() == 0
