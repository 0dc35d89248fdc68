"""Jobs that went missing are published again, and only those."""

from typing import Any

import pytest

from agents import queue, sweeper
from agents.models import Task

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def five(invoke: Any) -> list[Task]:
    """Pending tasks, the oldest first, whose jobs a worker would have taken by now."""
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
    assert sweeper.republish_lost() == 1
    assert published[10:] == [five[0].pk]
    assert sweeper.republish_lost() == 1
    assert published[11:] == [five[1].pk]


def test_of_two_sweepers_one_publishes(five: list[Task], published: list[Any]) -> None:
    seen = Task.objects.get(pk=five[0].pk)
    assert sweeper.lifecycle.republish(seen)
    assert not sweeper.lifecycle.republish(seen)
    assert len(published) == 6


def test_with_no_late_task_the_broker_is_not_asked(invoke: Any, monkeypatch: Any) -> None:
    invoke("multiply 6 by 7")
    monkeypatch.setattr(queue, "waiting", lambda: pytest.fail("asked"))
    assert sweeper.republish_lost() == 0
