"""Prices of models: what a call costs, and what `manage.py check` says of prices that can't be used."""

from decimal import Decimal
from typing import Any

import pytest

from agents import checks
from agents.models import ModelCall
from agents.state import model_calls
from agents.state.tasks import claim
from agents.usage.prices import Price, price_of
from agents.usage.tokens import Tokens
from core.db import exact

MINI = Price(Decimal("0.40"), Decimal("0.10"), Decimal("1.60"))


def test_a_call_costs_its_tokens() -> None:
    assert MINI.of(Tokens(input=1000, cached=400, output=50)) == Decimal("0.00036")
    assert MINI.of(Tokens(input=1, output=0)) == Decimal("0.0000004")
    assert MINI.of(Tokens(input=0, output=0)) == 0


@pytest.mark.parametrize("tokens", [Tokens(), Tokens(input=5), Tokens(output=5), Tokens(cached=5, output=5)])
def test_what_is_not_known_has_no_cost(tokens: Tokens) -> None:
    assert MINI.of(tokens) is None


def test_a_cost_that_no_column_holds_is_none() -> None:
    dear = Price(*[Decimal(10) ** 9] * 3)
    assert dear.of(Tokens(input=10**9, output=10**9)) is None


@pytest.mark.parametrize(
    ("model", "input_price"), [("gpt-4.1-mini", "1"), ("gpt-4.1", "2"), ("gpt-5", "3"), ("x", "4")]
)
def test_the_name_goes_before_a_pattern_and_a_long_one_before_a_short_one(
    settings: Any, model: str, input_price: str
) -> None:
    settings.MODEL_PRICES = {
        "*": {"input": "4", "output": 1},
        "gpt-*": {"input": "3", "output": 1},
        "gpt-4*": {"input": "2", "output": 1},
        "gpt-4.1-mini": {"input": "1", "output": 1},
    }
    found = price_of(model)
    assert found is not None
    assert (found.input, found.cached_input) == (Decimal(input_price), Decimal(input_price))


def test_a_price_is_the_decimal_that_was_written(settings: Any) -> None:
    settings.MODEL_PRICES = '{"m": {"input": 0.1, "cached_input": 0.025, "output": "0.3"}}'
    assert price_of("m") == Price(Decimal("0.1"), Decimal("0.025"), Decimal("0.3"))
    assert price_of("n") is None


@pytest.mark.parametrize(
    "given",
    [
        *("no json", "[]", '"x"', '{"m": 1}', '{"m": {"input": 1}}', '{"m": {"input": 1, "output": -1}}'),
        *('{"m": {"input": 1, "output": NaN}}', '{"m": {"input": 1, "output": "many"}}', '{"m": {"input": true}}'),
        *('{"m": {"input": 1, "output": 1, "inptu": 1}}', '{"m": {"input": 1, "output": 1e99}}', "[" * 100_000),
    ],
)
def test_prices_that_can_not_be_used_fail_the_check_and_no_call(settings: Any, given: str) -> None:
    settings.MODEL_PRICES = given
    (error,) = checks.prices()
    assert (error.id, bool(error.hint)) == ("agents.E014", True)
    assert price_of("m") is None


def test_a_currency_is_three_letters(settings: Any) -> None:
    assert checks.prices() == []
    settings.MODEL_CURRENCY = "dollars"
    assert [error.id for error in checks.prices()] == ["agents.E015"]


@pytest.mark.django_db(transaction=True)
def test_the_price_at_the_time_of_the_call_counts(settings: Any, invoke: Any) -> None:
    attempt = claim(invoke("x").pk, "w")
    assert attempt is not None
    for price in (1, 2):
        settings.MODEL_PRICES = {"m": {"input": price, "output": price}}
        row = model_calls.enter(attempt.task, attempt, "m", str(price))
        model_calls.close(row, ModelCall.Outcome.ANSWERED, 1.0, Tokens(input=3, output=1))
    costs = ModelCall.objects.order_by("cost").values_list("cost", flat=True)
    assert list(costs) == [Decimal("0.000004"), Decimal("0.000008")]


def test_an_exact_decimal_is_stored_as_a_whole_number() -> None:
    field = exact.ExactDecimalField()
    assert field.get_prep_value(Decimal("0.1")) == 10**8
    assert field.from_db_value(10**8, None, None) == Decimal("0.1")
    assert [field.get_prep_value(Decimal(text)) for text in ("0.0000000005", "0.0000000015")] == [0, 2]
    assert field.from_db_value(None, None, None) is None
