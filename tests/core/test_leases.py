"""The one lease: of several that take it at once one gets it, and it runs out by the database's clock."""

from typing import Any

import pytest

from agents.models import Chore
from core.db import leases
from core.db.clock import seconds_from_now
from tests.support.concurrency import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row(transactional_db: Any) -> Any:
    """A row that nobody has."""
    Chore.objects.create(name="sweep", due_at="2020-01-01T00:00:00Z")
    return Chore.objects.filter(name="sweep")


def test_of_ten_that_take_it_at_once_one_gets_it(row: Any) -> None:
    got = in_threads(10, lambda number: leases.take(Chore.objects.filter(name="sweep"), "due_at", 60))
    assert sorted(got) == [False] * 9 + [True]


def test_what_is_held_can_not_be_taken_until_it_is_over(row: Any) -> None:
    assert leases.take(row, "due_at", 60)
    assert not leases.take(row, "due_at", 60)
    assert leases.held(row, "due_at").exists()
    assert not leases.over(row, "due_at").exists()
    assert leases.expire(row, "due_at") == 1
    assert leases.over(row, "due_at").exists()
    assert leases.take(row, "due_at", 60)


def test_it_lasts_for_just_its_seconds(row: Any) -> None:
    leases.take(row, "due_at", 60)
    assert row.filter(due_at__gt=seconds_from_now(55), due_at__lt=seconds_from_now(61)).exists()
    leases.renew(row, "due_at", 600)
    assert row.filter(due_at__gt=seconds_from_now(590)).exists()


def test_who_renews_does_not_ask_whether_it_is_over(row: Any) -> None:
    assert leases.renew(row, "due_at", 60) == 1
    assert leases.held(row, "due_at").exists()


def test_nothing_is_taken_where_the_row_is_another_by_now(row: Any) -> None:
    assert not leases.take(row.filter(name="gone"), "due_at", 60)
    assert leases.renew(row.filter(name="gone"), "due_at", 60) == 0
    assert leases.over(row, "due_at").exists()


def test_other_columns_are_written_with_it_or_not_at_all(row: Any) -> None:
    leases.take(row, "due_at", 60, name="taken")
    other = Chore.objects.filter(name="taken")
    assert other.exists()
    assert not leases.take(other, "due_at", 60, name="stolen")
    assert other.exists()
