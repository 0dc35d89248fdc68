"""The one lease: of several that take it at once one gets it, and it runs out by the database's clock."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents import services
from agents.models import Attempt, Chore, WorkerProcess
from agents.state import tasks
from core.db import leases
from core.db.clock import seconds_from_now
from tests.support.concurrency import in_threads
from tests.support.rows import differences, picture

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


# By the database's clock: the stored time is moved in SQL, without Django and without a clock of this machine.

FROM_NOW = {
    "sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW', '{seconds} seconds')",
    "postgresql": "STATEMENT_TIMESTAMP() + INTERVAL '{seconds} seconds'",
}


def ends_in(seconds: int, name: str = "sweep") -> Any:
    """Let the lease on this row end so many seconds from the database's now. Returns the row."""
    Chore.objects.get_or_create(name=name)
    time = FROM_NOW[connection.vendor].format(seconds=f"{seconds:+}")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE agents_chore SET due_at = {time} WHERE name = '{name}'")
        assert cursor.rowcount == 1
    return Chore.objects.filter(name=name)


def names(rows: Any) -> list[str]:
    return sorted(rows.values_list("name", flat=True))


@pytest.mark.parametrize("seconds", [-86_400, -3600, -60, -1])
def test_what_ended_before_the_databases_now_is_over(row: Any, seconds: int) -> None:
    ends_in(seconds)
    assert (leases.over(row, "due_at").exists(), leases.held(row, "due_at").exists()) == (True, False)
    assert leases.take(row, "due_at", 60)


@pytest.mark.parametrize("seconds", [60, 3600, 86_400])
def test_what_ends_after_the_databases_now_is_held(row: Any, seconds: int) -> None:
    ends_in(seconds)
    before = picture(Chore)
    assert (leases.over(row, "due_at").exists(), leases.held(row, "due_at").exists()) == (False, True)
    assert not leases.take(row, "due_at", 600)
    assert differences(before, picture(Chore)) == {}


A_DAY = re.compile(r"\d{4}-\d\d-\d\d")
CALLS: dict[str, Callable[[Any], Any]] = {
    "take": lambda rows: leases.take(rows, "due_at", 60),
    "renew": lambda rows: leases.renew(rows, "due_at", 60),
    "expire": lambda rows: leases.expire(rows, "due_at"),
    "over": lambda rows: leases.over(rows, "due_at").exists(),
    "held": lambda rows: not leases.held(rows, "due_at").exists(),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_asks_the_database_for_the_time_in_one_statement(row: Any, name: str) -> None:
    with CaptureQueriesContext(connection) as caught:
        assert CALLS[name](row)
    (statement,) = [one["sql"] for one in caught.captured_queries]
    assert {"sqlite": "STRFTIME(", "postgresql": "STATEMENT_TIMESTAMP()"}[connection.vendor] in statement
    assert not A_DAY.search(statement), "no time of this machine goes along"


def test_control_a_time_of_this_machine_shows_in_the_statement(row: Any) -> None:
    with CaptureQueriesContext(connection) as caught:
        row.update(due_at=timezone.now())
    (statement,) = [one["sql"] for one in caught.captured_queries]
    assert A_DAY.search(statement)


@pytest.mark.parametrize("seconds", [0, -1, -3600])
def test_a_lease_of_no_seconds_is_over_at_once(row: Any, seconds: float) -> None:
    assert leases.take(row, "due_at", seconds)
    assert leases.over(row, "due_at").exists()
    ends_in(60)
    assert leases.renew(row, "due_at", seconds) == 1
    assert not leases.held(row, "due_at").exists()
    assert leases.take(row, "due_at", 60)


def test_who_renews_may_also_make_it_shorter(row: Any) -> None:
    ends_in(3600)
    assert leases.renew(row, "due_at", 60) == 1
    assert row.filter(due_at__lt=seconds_from_now(600)).exists()


def test_who_expires_what_is_over_leaves_it_over(row: Any) -> None:
    ends_in(-3600)
    assert [leases.expire(row, "due_at") for _ in range(2)] == [1, 1]
    assert row.filter(due_at__gt=seconds_from_now(-600)).exists(), "it ended now, not when it did"
    assert leases.over(row, "due_at").exists()


# Several rows.


@pytest.fixture
def several(transactional_db: Any) -> Any:
    """Two rows whose leases are over, and two that are held."""
    for name, seconds in {"a": -3600, "b": 3600, "c": -60, "d": 60}.items():
        ends_in(seconds, name)
    return Chore.objects.all()


def test_each_of_several_rows_is_either_over_or_held(several: Any) -> None:
    assert (names(leases.over(several, "due_at")), names(leases.held(several, "due_at"))) == (["a", "c"], ["b", "d"])


def test_only_those_of_several_that_are_free_are_taken(several: Any) -> None:
    before = picture(Chore)
    assert leases.take(several, "due_at", 600)
    assert {key for _, key in differences(before, picture(Chore))} == {"a", "c"}
    assert not leases.take(several, "due_at", 600)
    assert names(leases.held(several, "due_at")) == ["a", "b", "c", "d"]


def test_all_of_several_are_renewed_or_expired_and_no_other(several: Any) -> None:
    assert leases.renew(several.filter(name__in=["a", "b"]), "due_at", 600) == 2
    assert names(leases.held(several, "due_at")) == ["a", "b", "d"]
    assert leases.expire(several.filter(name__in=["b", "c", "d"]), "due_at") == 3
    assert names(leases.held(several, "due_at")) == ["a"]
    assert leases.renew(leases.held(several, "due_at"), "due_at", 60) == 1
    assert leases.expire(leases.over(several, "due_at"), "due_at") == 3
    assert leases.expire(several.none(), "due_at") == 0


# No time at all: what never had a lease is neither over nor held.


def test_a_row_without_a_time_is_neither_over_nor_held_and_nobody_can_take_it(transactional_db: Any) -> None:
    WorkerProcess.objects.create(name="w")
    rows = WorkerProcess.objects.filter(name="w", listened_at=None)
    assert not leases.over(rows, "listened_at").exists()
    assert not leases.held(rows, "listened_at").exists()
    assert not leases.take(rows, "listened_at", 60)
    assert rows.exists()


@pytest.mark.parametrize(("seconds", "is_held"), [(60, True), (-60, False)])
def test_a_row_without_a_time_gets_one_when_it_is_renewed(transactional_db: Any, seconds: int, is_held: bool) -> None:
    WorkerProcess.objects.create(name="w")
    rows = WorkerProcess.objects.filter(name="w")
    assert leases.renew(rows, "listened_at", seconds) == 1
    assert leases.held(rows, "listened_at").exists() == is_held
    assert leases.over(rows, "listened_at").exists() != is_held
    WorkerProcess.objects.update(listened_at=None)
    assert leases.expire(rows, "listened_at") == 1
    assert leases.take(rows, "listened_at", 60)


# Other columns, and others at the same time.


@pytest.fixture
def attempt(ann: User) -> Attempt:
    """An attempt whose lease is over."""
    task = services.submit(services.Submission("ann", "x", "s", "t"), ann)
    attempt = tasks.claim(task.pk, "nobody")
    assert attempt is not None
    Attempt.objects.update(lease_until="2020-01-01T00:00:00Z")
    return attempt


def test_of_ten_that_write_other_columns_with_it_only_the_one_that_gets_it_does(attempt: Attempt) -> None:
    rows = Attempt.objects.filter(pk=attempt.pk)

    def take(number: int) -> bool:
        return leases.take(rows.all(), "lease_until", 60, worker=f"w{number}", token=F("token") + 1)

    got = in_threads(10, take)
    assert sorted(got) == [False] * 9 + [True]
    assert rows.values_list("worker", "token").get() == (f"w{got.index(True)}", attempt.token + 1)


def test_who_has_lost_it_can_not_renew_what_another_has(attempt: Attempt) -> None:
    mine = Attempt.objects.filter(pk=attempt.pk, worker="nobody")
    assert leases.take(Attempt.objects.filter(pk=attempt.pk), "lease_until", 60, worker="another")
    before = picture(Attempt)
    assert leases.renew(mine, "lease_until", 3600) == 0
    assert leases.expire(mine, "lease_until") == 0
    assert differences(before, picture(Attempt)) == {}


@pytest.mark.parametrize("call", ["renew", "expire", "take"])
def test_a_row_that_is_written_keeps_its_other_columns(attempt: Attempt, call: str) -> None:
    before = picture(Attempt)
    rows = Attempt.objects.filter(pk=attempt.pk)
    if call == "expire":
        assert leases.expire(rows, "lease_until")
    else:
        assert getattr(leases, call)(rows, "lease_until", 60)
    assert [written.keys() for written in differences(before, picture(Attempt)).values()] == [{"lease_until"}]


def test_two_renew_while_one_expires_and_the_row_is_as_the_last_one_left_it(row: Any) -> None:
    ends_in(60)
    rows = Chore.objects.filter(name="sweep")
    calls: list[Callable[[], int]] = [
        lambda: leases.renew(rows.all(), "due_at", 600),
        lambda: leases.renew(rows.all(), "due_at", 3600),
        lambda: leases.expire(rows.all(), "due_at"),
    ]
    assert in_threads(3, lambda number: calls[number]()) == [1, 1, 1]
    over, held = leases.over(row, "due_at"), leases.held(row, "due_at")
    assert over.exists() != held.exists()
    about = [row.filter(due_at__gt=seconds_from_now(s - 60), due_at__lt=seconds_from_now(s + 1)) for s in (600, 3600)]
    assert [over.exists(), *(found.exists() for found in about)].count(True) == 1


def test_a_row_that_is_deleted_in_between_is_not_taken_and_not_made_again(row: Any) -> None:
    found = leases.over(row, "due_at")
    assert found.exists()
    Chore.objects.all().delete()
    assert not leases.take(found, "due_at", 60, name="again")
    assert (leases.renew(row, "due_at", 60), leases.expire(row, "due_at")) == (0, 0)
    assert not Chore.objects.exists()


def test_while_one_deletes_it_at_most_one_takes_it(row: Any) -> None:
    def call(number: int) -> Any:
        rows = Chore.objects.filter(name="sweep")
        return leases.take(rows, "due_at", 60) if number else rows.delete()[0]

    deleted, *taken = in_threads(6, call)
    assert deleted == 1
    assert set(taken) <= {True, False}
    assert taken.count(True) <= 1
    assert not Chore.objects.exists()
