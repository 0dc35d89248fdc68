"""Sums of model calls: before and after they are summed by day, the same to the last token."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from agents.maintenance import cleanup, usage
from agents.models import Chore, DayUsage, ModelCall
from agents.state import model_calls
from agents.usage import sums
from agents.usage.sums import Span, Sums
from tests.support.usage_rows import call, open_call

pytestmark = pytest.mark.django_db(transaction=True)

TODAY = datetime.now(UTC).date()
ALL = Span(TODAY - timedelta(days=100), TODAY + timedelta(days=1))
PRICELESS: dict[str, Any] = {"cost": None}
UNKNOWN: dict[str, Any] = {"input_tokens": None, "output_tokens": None, "cost": None}


@pytest.fixture
def story() -> None:
    """Calls of two users, on three days, with two models and agents; the last one is a few minutes old."""
    call(ago=40, cached_tokens=4, reasoning_tokens=1)
    call(ago=40, user="bob", model="other", repeats=True)
    call(ago=2, agent="second", **PRICELESS)
    call(ago=2, outcome="failed", **UNKNOWN)
    call(ago=2, outcome="unknown", **UNKNOWN)
    call(ago=0, user="bob", cost=Decimal("0.000000001"))


def everything() -> dict[str, Any]:
    """All sums of all groups that are summed by day."""
    found: dict[str, Any] = {by: sums.grouped(by, ALL, 100) for by in ("day", "user", "agent", "model")}
    return {**found, "all": sums.total(ALL), "ann": sums.total(Span(ALL.first, ALL.last, "ann"))}


def test_the_sums_are_exact(story: None) -> None:
    found = sums.total(ALL)
    assert (found.calls, found.repeats, found.failed, found.unknown, found.unpriced) == (6, 1, 1, 1, 1)
    assert (found.input_tokens, found.cached_tokens, found.output_tokens, found.reasoning_tokens) == (40, 4, 8, 1)
    assert found.cost == Decimal("1.000000001")


def test_each_group_has_its_own(story: None) -> None:
    assert [(key, found.calls) for key, found in sums.grouped("user", ALL, 9)] == [(("ann",), 4), (("bob",), 2)]
    assert [(key, found.calls) for key, found in sums.grouped("model", ALL, 9)] == [(("m",), 5), (("other",), 1)]
    assert [found.calls for _, found in sums.grouped("day", ALL, 9)] == [2, 3, 1]
    assert [found.calls for _, found in sums.grouped("session", ALL, 9)] == [4, 2]
    assert sums.total(Span(TODAY - timedelta(days=3), TODAY - timedelta(days=1))).calls == 3


def test_summing_by_day_changes_no_sum(story: None) -> None:
    before = everything()
    usage.sum_usage()
    assert DayUsage.objects.count() == 4
    assert everything() == before
    call()
    more = everything()["all"]
    usage.sum_usage()
    assert (more.calls, everything()["all"]) == (7, more)


def test_what_is_summed_is_summed_once(story: None) -> None:
    before = everything()
    for _ in range(3):
        usage.sum_usage()
        Chore.objects.filter(name=usage.CHORE).update(due_at=Chore.objects.get(name=usage.CHORE).due_at)
    assert everything() == before


def test_later_calls_of_a_day_are_added_to_it(settings: Any) -> None:
    settings.MODEL_TIMEOUT_SECONDS = 0.1
    call(ago=0.5)
    usage.sum_usage()
    call(ago=0.003, **PRICELESS)
    call(ago=0.003)
    Chore.objects.filter(name=usage.CHORE).update(due_at=datetime.now(UTC) - timedelta(days=0.1))
    usage.sum_usage()
    assert sum(row.calls for row in DayUsage.objects.all()) == 3
    assert sum(Decimal(row.cost or 0) for row in DayUsage.objects.all()) == 1


def test_summing_again_within_five_minutes_does_nothing(story: None, django_assert_max_num_queries: Any) -> None:
    usage.sum_usage()
    with django_assert_max_num_queries(2):
        usage.sum_usage()


def test_sums_that_are_made_while_calls_are_moved_are_whole(story: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, before = sums._rows, sums.total(ALL)

    def moving(*args: Any) -> Any:
        monkeypatch.setattr(sums, "_rows", rows)
        usage.sum_usage()  # between the reading of the moment and that of the rows
        return rows(*args)

    monkeypatch.setattr(sums, "_rows", moving)
    assert sums.total(ALL) == before


def test_a_call_whose_worker_died_is_given_up(settings: Any) -> None:
    lost, going = open_call(ago=0.1), open_call(ago=0)
    assert usage.give_up_calls() == 1
    assert [ModelCall.objects.get(pk=row.pk).outcome for row in (lost, going)] == ["unknown", "started"]
    assert not model_calls.close(lost, ModelCall.Outcome.ANSWERED, 1.0)
    assert sums.total(ALL).unknown == 2


def test_pages_follow_each_other(story: None) -> None:
    for by in ("day", "user", "agent", "model", "session"):
        whole, found = sums.grouped(by, ALL, 100), []
        after: sums.Key = ()
        while page := sums.grouped(by, ALL, 1, after):
            after = page[-1][0]
            found += page
        assert found == whole


def test_a_task_is_summed_by_its_rows_and_a_deleted_one_only_in_the_others(invoke: Any, api: Any) -> None:
    tasks = [invoke("x", session=f"s{number}") for number in range(3)]
    for task in tasks:
        call(task)
    assert [key for key, _ in sums.grouped("task", ALL, 9)] == [
        (key,) for key in sorted(str(task.pk) for task in tasks)
    ]
    assert sums.of_task(tasks[0]) == Sums(1, input_tokens=10, output_tokens=2, seconds=1.0, cost=Decimal("0.5"))
    assert api.delete(f"/agent/task/ann/s0/{tasks[0].task_id}").status_code == 200
    assert len(sums.grouped("task", ALL, 9)) == 2
    assert sums.total(ALL).calls == 3


def test_old_calls_go_and_their_sums_stay(story: None, settings: Any) -> None:
    settings.MODEL_CALL_RETENTION_DAYS = 30
    assert list(usage.old_model_calls()) == []  # not summed yet
    usage.sum_usage()
    before = everything()
    assert cleanup.keep_house(_never())["old_model_calls"] == 2
    assert everything() == before
    settings.MODEL_CALL_RETENTION_DAYS = 0
    assert list(usage.old_model_calls()) == []


def _never() -> Any:
    class Never:
        def wait(self, seconds: float) -> bool:
            return False

    return Never()


@pytest.mark.parametrize("summed", [True, False])
def test_forgetting_a_user_changes_no_sum_of_the_service(story: None, summed: bool) -> None:
    if summed:
        usage.sum_usage()
    before = everything()
    for user in ("ann", "bob"):
        model_calls.forget_user(user)
    after = everything()
    assert after["all"] == before["all"]
    assert after["day"] == before["day"]
    assert [(key, found.calls) for key, found in after["user"]] == [(("",), 6)]
    assert not ModelCall.objects.exclude(user_id="", session_id="").exists()


def test_the_borders_of_a_day_are_those_of_utc() -> None:
    row = call()
    for moment, day in (("2026-03-01T23:59:59.999999Z", 1), ("2026-03-02T00:00:00Z", 2)):
        ModelCall.objects.filter(pk=row.pk).update(started_at=moment)
        assert sums.grouped("day", Span(date(2026, 3, 1), date(2026, 3, 3)), 9)[0][0] == (f"2026-03-0{day}",)
        assert sums.total(Span(date(2026, 3, day), date(2026, 3, day))).calls == 1
