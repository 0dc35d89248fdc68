"""When two JSON values are the same, and what becomes of one that can't be stored."""

from typing import Any

import pytest

from core.text import DEEPEST, TOO_DEEP, same, storable


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({"a": 1, "b": [{"c": 2, "d": 3}]}, {"b": [{"d": 3, "c": 2}], "a": 1}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": True}, False),
        (0.0, -0.0, False),
        ([1, 2], [2, 1], False),
        ({"a": None}, {}, False),
        ("a", "a ", False),
    ],
)
def test_the_order_of_keys_says_nothing_and_all_else_counts(left: Any, right: Any, expected: bool) -> None:
    assert same(left, right) is expected


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (float("-inf"), "-inf"),
        ({"a": [2**70]}, {"a": [str(2**70)]}),
        (True, True),
    ],
)
def test_a_number_that_no_checkpoint_holds_is_kept_as_a_text(value: Any, kept: Any) -> None:
    assert storable(value) == kept


def test_a_number_with_more_digits_than_python_writes_too() -> None:
    assert storable(10**5000) == hex(10**5000)


def test_what_is_nested_too_deeply_is_marked() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    kept = storable(value)
    for _ in range(DEEPEST):
        (kept,) = kept
    assert kept == TOO_DEEP
