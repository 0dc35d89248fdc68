"""When two JSON values are the same."""

from typing import Any

import pytest

from agentsite.core.text import same


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
