"""What an edit changed, for people."""

from typing import Any

import pytest

from reviews.console.diff import between


def lines(before: Any, after: Any) -> list[Any]:
    return [(one.name, one.lines) for one in between(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, [("a", [("-", "1"), ("+", "1.0")])]),
        ({"a": "1"}, {"a": 1}, [("a", [("-", '"1"'), ("+", "1")])]),
        ({"a": "x"}, {"a": "x "}, [("a", [("-", "x"), ("+", "x ")])]),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, [("a › b", [("-", "x"), ("+", "y")])]),
        ({}, {"a": "y"}, [("a", [("-", "(left out)"), ("+", "y")])]),
        ({"a": "x", "b": 1}, {"b": 1}, [("a", [("-", "x"), ("+", "(left out)")])]),
        ({"a": "x"}, {"a": "\u202ex"}, [("a", [("-", "x"), ("+", "\u202ex")])]),
        ({"a": None}, {"a": "null"}, [("a", [("-", "null"), ("+", '"null"')])]),
    ],
)
def test_each_changed_argument_is_shown(before: Any, after: Any, expected: Any) -> None:
    assert lines(before, after) == expected


def test_of_a_long_text_only_what_is_near_the_change_is_shown() -> None:
    text = "\n".join(str(number) for number in range(40))
    [(_name, shown)] = lines({"a": text}, {"a": text.replace("\n20\n", "\ntwenty\n").replace("\n2\n", "\ntwo\n")})
    assert ("-", "20") in shown
    assert (" ", "…") in shown
    assert len(shown) < 16
