"""What a condition says to arguments: that it holds, that it does not, or that nobody can tell."""

from typing import Any

import pytest

from reviews.policy import conditions
from reviews.policy.conditions import Condition

YES, UNSURE, NO = "yes", "unsure", "no"


def said(line: str, args: dict[str, Any], *, every_item: bool = False) -> str:
    wanted = conditions.read(line)
    if conditions.hold(wanted, args, sure=True, every_item=every_item):
        return YES
    return UNSURE if conditions.hold(wanted, args, sure=False, every_item=every_item) else NO


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        ("a > 1000", 1000.01, YES),
        ("a > 1000", 1000, NO),
        ("a >= 1000", 1000, YES),
        ("a < 0", -1, YES),
        ("a < 0", 0, NO),
        ("a <= 0", 0.0, YES),
        ("a > 1000", "5000", UNSURE),
        ("a > 1000", None, UNSURE),
        ("a > 0", True, UNSURE),
        ("a equals 5", 5.0, YES),
        ("a equals 5", 6, NO),
        ("a equals 5", "5", UNSURE),
        ("a equals 1", True, UNSURE),
        ("a equals true", True, YES),
        ("a equals true", False, NO),
        ('a equals {"x": [1]}', {"x": [1]}, YES),
        ('a equals {"x": [1]}', {"x": [1], "y": 2}, NO),
        ("a equals bob", "bob", YES),
        ("a equals bob", "Bob", UNSURE),
        ("a equals bob", "bob\n", NO),
        ("a equals bob", "bobby", NO),
        ('a equals "5"', "5", YES),
        ("a does not equal 5", 6, YES),
        ("a does not equal 5", 5, NO),
        ("a does not equal 5", "x", UNSURE),
        ("a does not equal bob", "ann", YES),
        ("a does not equal bob", "BOB", UNSURE),
        ("a does not equal bob", "bob", NO),
        ('a one of ["eur", "usd"]', "usd", YES),
        ('a one of ["eur", "usd"]', "gbp", NO),
        ('a one of ["eur", "usd"]', 5, UNSURE),
        ("a one of [1, 2]", 2, YES),
        ('a not one of ["eur", "usd"]', "gbp", YES),
        ('a not one of ["eur", "usd"]', "EUR", UNSURE),
        ('a not one of ["eur", "usd"]', "eur", NO),
        ("a starts with /tmp/", "/tmp/x", YES),
        ("a starts with /tmp/", "x\n/tmp/x", NO),
        ("a does not start with /tmp/", "/etc", YES),
        ("a does not start with /tmp/", "/tmp/x", NO),
        ("a ends with @example.com", "bob@example.com", YES),
        ("a ends with @example.com", "bob@example.com\n", NO),
        ("a ends with @example.com", "bob@EXAMPLE.com", UNSURE),
        ("a ends with @example.com", "bob@exampleXcom", NO),
        ("a does not end with @example.com", "bob@evil.com", YES),
        ("a does not end with @example.com", "bob@Example.com", UNSURE),
        ("a does not end with @example.com", "bob@example.com", NO),
        ("a does not end with @example.com", ["bob@example.com"], UNSURE),
        ("a contains 100", "for 100 €", YES),
        ("a contains .*", "anything", NO),
        ("a does not contain secret", "all public", YES),
        ("a does not contain secret", "a SECRET", UNSURE),
        ("a matches inv-*-20[0-9][0-9].pdf", "inv-7-2026.pdf", YES),
        ("a matches inv-*", "x inv-7", NO),
        ("a matches *", "two\nlines", YES),
        ("a does not match inv-*", "bill-7", YES),
        ("a does not match inv-*", "inv-7", NO),
        ("a is there", 0, YES),
        ("a is there", None, NO),
        ("a is missing", None, YES),
        ("a is missing", "", NO),
    ],
)
def test_each_operator(line: str, value: Any, expected: str) -> None:
    assert said(line, {"a": value}) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        *((f"a {operator} 1", UNSURE) for operator in (*conditions.NUMBERS, "equals", "does not equal")),
        *((f"a {operator} x", UNSURE) for operator in (*conditions.TEXTS, *conditions.NOT_TEXTS)),
        *((f'a {operator} ["x"]', UNSURE) for operator in ("one of", "not one of")),
        ("a is there", NO),
        ("a is missing", YES),
        ("a.b is missing", YES),
        ("a.b > 1", UNSURE),
    ],
)
def test_an_argument_that_is_absent_can_not_be_judged(line: str, expected: str) -> None:
    assert said(line, {"other": 1}) == expected


@pytest.mark.parametrize(
    ("args", "expected"),
    [({"a": {"b": 2}}, YES), ({"a": {"b": 1}}, NO), ({"a": {}}, UNSURE), ({"a": "b"}, UNSURE), ({"a": [2]}, UNSURE)],
)
def test_a_path_goes_into_objects(args: dict[str, Any], expected: str) -> None:
    assert said("a.b > 1", args) == expected


@pytest.mark.parametrize(
    ("to", "some", "every"),
    [
        (["a@x.org", "b@evil.com"], YES, NO),
        (["b@evil.com"], YES, YES),
        (["a@x.org"], NO, NO),
        ([], NO, NO),
        (["a@x.org", 5], UNSURE, NO),
        ("b@evil.com", UNSURE, UNSURE),
    ],
)
def test_brackets_go_into_lists(to: Any, some: str, every: str) -> None:
    line = "to[] ends with @evil.com"
    assert (said(line, {"to": to}), said(line, {"to": to}, every_item=True)) == (some, every)


def test_brackets_go_on_into_the_items() -> None:
    args = {"items": [{"price": 5}, {"price": 50}]}
    assert said("items[].price > 10", args) == YES
    assert said("items[].price > 10", args, every_item=True) == NO


def test_a_star_is_all_arguments_and_nothing_more() -> None:
    line = '* equals {"to": "bob", "amount": 5}'
    assert said(line, {"amount": 5.0, "to": "bob"}) == YES
    assert said(line, {"amount": 5, "to": "bob", "cc": "eve"}) == NO


def test_all_conditions_have_to_hold_and_one_no_outweighs_a_doubt() -> None:
    lines = "amount > 10\nto equals bob"
    assert said(lines, {"amount": 11, "to": "bob"}) == YES
    assert said(lines, {"amount": 11}) == UNSURE
    assert said(lines, {"amount": 5}) == NO


def test_no_condition_always_holds() -> None:
    assert said("", {}) == YES


@pytest.mark.parametrize(
    "line",
    [
        "amount",
        "amount > ten",
        "amount >",
        "amount > true",
        "amount > NaN",
        "amount > 1e999",
        "amount is about 5",
        "amount equals null",
        "a..b > 1",
        "a[0] > 1",
        "[] > 1",
        "* > 1",
        "* equals 5",
        "a contains",
        "a one of 5",
        "a one of []",
        'a one of ["a", 1]',
        "a one of [null]",
        "a is there really",
        "a[] is missing",
        r'a equals "\u0000"',
        r'a equals "\ud800"',
        f"a equals {'x' * 10_001}",
        f"{'a' * 201} > 1",
        "\n".join(["a > 1"] * 21),
    ],
)
def test_what_means_nothing_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        conditions.read(line)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        "amount > 5",
        [5],
        [{"argument": "a"}],
        [{"argument": "a", "is": ">", "value": 1, "eval": "x"}],
        [{"argument": 5, "is": ">", "value": 1}],
        [{"argument": "a", "is": ["x"], "value": 1}],
    ],
)
def test_only_the_stored_form_is_read(data: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        conditions.checked(data)


def test_the_line_that_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match="Line 3"):
        conditions.read("a > 1\n\nb >> 2")


@pytest.mark.parametrize(
    "line",
    ["a > 5", 'a equals "5"', 'a[].b one of ["x", "y"]', "a is missing", r'a contains "\u202e"', 'a equals "中"'],
)
def test_what_is_written_reads_the_same(line: str) -> None:
    wanted = conditions.read(line)
    assert conditions.written(wanted) == line
    assert conditions.checked([one.data() for one in wanted]) == wanted


def test_a_glob_of_many_stars_ends_soon() -> None:
    wanted = [Condition("a", "matches", "*a" * 40 + "b")]
    assert not conditions.hold(wanted, {"a": "a" * 200}, sure=True, every_item=False)


@pytest.mark.parametrize(
    ("items", "of_every", "of_some"),
    [
        ([{"price": 9999}, {}], NO, YES),
        ([{"price": 9999}, {"price": None}], NO, YES),
        ([{"price": 1}, {"price": 2}], NO, NO),
        ([{}, {"name": "x"}], YES, YES),
        ([], YES, YES),
        ("no list", YES, YES),
    ],
)
def test_missing_in_a_list_is_of_every_item_for_an_allow_and_of_some_for_a_deny(
    items: Any, of_every: str, of_some: str
) -> None:
    line = "items[].price is missing"
    assert said(line, {"items": items}, every_item=True) == of_every
    assert said(line, {"items": items}, every_item=False) == of_some
