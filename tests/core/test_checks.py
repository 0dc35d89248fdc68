"""The system checks of the limits."""

from typing import Any

import pytest

from core.checks import limits


@pytest.mark.parametrize("rate", ["600", "600/", "0/min", "-1/s", "1.5/min", "many/min", "60/month", " 60/min"])
def test_what_is_no_rate_fails_the_check(settings: Any, rate: str) -> None:
    settings.RATE_USER = rate
    assert [error.id for error in limits()] == ["core.E001"]


@pytest.mark.parametrize("rate", ["", "1/s", "600/min", "5/hour", "9/d"])
def test_a_rate_or_none_passes(settings: Any, rate: str) -> None:
    settings.RATE_PRINCIPAL = settings.RATE_USER = settings.RATE_ANONYMOUS = rate
    assert limits() == []


@pytest.mark.parametrize(("count", "ids"), [(-1, ["core.E002"]), (0, []), (1, [])])
def test_a_number_of_tasks_below_0_fails_the_check(settings: Any, count: int, ids: list[str]) -> None:
    settings.TASKS_IN_FLIGHT_PER_USER = count
    assert [error.id for error in limits()] == ids


@pytest.mark.parametrize(("seconds", "ids"), [(-5, ["core.E003"]), (0.5, ["core.E003"]), (0, []), (1, []), (60, [])])
def test_a_wait_for_the_database_that_no_answer_can_meet_fails_the_check(
    settings: Any, seconds: float, ids: list[str]
) -> None:
    settings.DATABASE_ANSWER_SECONDS = seconds
    assert [error.id for error in limits()] == ids


@pytest.mark.parametrize(
    ("seconds", "ids"), [(-1, ["core.E005"]), (5.1, ["core.E005"]), (float("nan"), ["core.E005"]), (0, []), (5, [])]
)
def test_a_bound_on_what_may_be_out_of_date_is_at_most_five_seconds(
    settings: Any, seconds: float, ids: list[str]
) -> None:
    settings.STALENESS_SECONDS = seconds
    assert [error.id for error in limits()] == ids


@pytest.mark.parametrize(
    ("streams", "seconds", "ids"),
    [
        (0, 10, ["core.E006"]),
        (1, 0.5, ["core.E007"]),
        (1, 61, ["core.E007"]),
        (1, float("nan"), ["core.E007"]),
        (1, 1, []),
    ],
)
def test_streams_have_a_number_and_a_heartbeat(settings: Any, streams: int, seconds: float, ids: list[str]) -> None:
    settings.MAX_STREAMS, settings.STREAM_HEARTBEAT_SECONDS = streams, seconds
    assert [one.id for one in limits()] == ids
