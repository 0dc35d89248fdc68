"""Prices of models (setting MODEL_PRICES), and what a call costs by them. All arithmetic is decimal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from django.conf import settings

from agents.config import Misconfigured
from agents.usage.tokens import Tokens
from core.db import exact

PER = 1_000_000  # tokens that a price is for
HIGHEST = Decimal(10) ** 9  # of a price: enough for any currency
NEEDED, KNOWN = ("input", "output"), ("input", "cached_input", "output")


@dataclass(frozen=True)
class Price:
    """Prices per million tokens."""

    input: Decimal
    cached_input: Decimal
    output: Decimal

    def of(self, tokens: Tokens) -> Decimal | None:
        """Return what these tokens cost, or None if the input or the output is not known."""
        if tokens.input is None or tokens.output is None:
            return None
        cached = tokens.cached or 0
        full = (tokens.input - cached) * self.input + cached * self.cached_input + tokens.output * self.output
        cost = exact.rounded(full / PER)
        return cost if cost <= exact.LARGEST else None


def price_of(model: str) -> Price | None:
    """Return the price of the model of this name, or None if there is none.

    The exact name goes before a pattern, and a longer pattern before a shorter one.
    """
    try:
        prices = configured()
    except Misconfigured:  # `manage.py check` reports it; a run must not fail for it
        return None
    matching = (name for name in sorted(prices, key=len, reverse=True) if fnmatchcase(model, name))
    found = prices.get(model)
    return found if found is not None else next((prices[name] for name in matching), None)


def configured() -> dict[str, Price]:
    """Return the prices by name or pattern. Raises Misconfigured."""
    given = settings.MODEL_PRICES
    return _parsed(given if isinstance(given, str) else json.dumps(given, default=str))


@lru_cache(maxsize=8)
def _parsed(text: str) -> dict[str, Price]:
    if not text.strip():
        return {}
    try:
        found = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise Misconfigured(f"it is not JSON ({error})") from error
    if not isinstance(found, Mapping):
        raise Misconfigured("it is not an object with the names of models")
    return {name: _price(name, entry) for name, entry in found.items()}


def _price(name: str, entry: Any) -> Price:
    if not isinstance(entry, Mapping):
        raise Misconfigured(f"the entry of {name!r} is not an object with prices")
    if missing := [key for key in NEEDED if key not in entry]:
        raise Misconfigured(f"the entry of {name!r} has no {', '.join(missing)}")
    if unknown := [key for key in entry if key not in KNOWN]:
        raise Misconfigured(f"the entry of {name!r} has {', '.join(unknown)}, but only {', '.join(KNOWN)} are known")
    amounts = {key: _amount(name, key, value) for key, value in entry.items()}
    return Price(**{"cached_input": amounts["input"], **amounts})


def _amount(name: str, key: str, value: Any) -> Decimal:
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            value = None
    if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value <= HIGHEST:
        raise Misconfigured(f"{key} of {name!r} is not a number from 0 to {HIGHEST}")
    return value
