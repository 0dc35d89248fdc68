"""What becomes of arguments that a person sends in place of those that were asked for, whatever the tool's schema."""

from typing import Any

import pytest

from agents.models import Interrupt
from core.errors import Invalid
from core.text import canonical
from reviews.decisions import edits

TEXT = {"type": "string"}
PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": TEXT, "score": {"type": "number"}, "greeting": {"type": "string", "default": "hello"}},
}
INVITATION = {
    "type": "object",
    "required": ["host"],
    "properties": {
        "host": {"$ref": "#/$defs/Person"},
        "guests": {"type": "array", "items": {"$ref": "#/$defs/Person"}},
        "seats": {"type": "integer", "default": 2},
        "price": {"type": "number"},
    },
    "$defs": {"Person": PERSON},
}
NO_SUCH = ["The tool has no such argument."]


def review_of(schema: Any, asked: Any) -> Interrupt:
    return Interrupt(args_schema=schema, args_text=canonical(asked))


def edited(schema: Any, given: Any, asked: Any = None) -> Any:
    return edits.edited(review_of(schema, asked or {}), given)


def refused(schema: Any, given: Any, asked: Any = None) -> Any:
    """The errors by field."""
    with pytest.raises(Invalid) as caught:
        edited(schema, given, asked)
    return caught.value.extra["errors"]


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize("given", [None, [], "host", 1, [["host", "ann"]]])
def test_an_edit_is_an_object(given: Any) -> None:
    assert refused(INVITATION, given) == {"args": ["For an edit, send the full arguments as an object."]}


def test_the_wrapping_of_the_original_system_is_taken_off() -> None:
    assert edited(closed(a=TEXT), {"args": {"a": "x"}}) == {"a": "x"}


@pytest.mark.parametrize("given", [{"args": {"a": "x"}, "a": "x"}, {"args": "x"}])
def test_what_only_looks_like_the_wrapping_is_an_argument(given: Any) -> None:
    assert refused(closed(a=TEXT), given)["args"][0] == NO_SUCH[0]


def test_a_tool_may_have_an_argument_of_that_name() -> None:
    schema = closed(args={"type": "object", "properties": {"a": TEXT}})
    assert edited(schema, {"args": {"a": "x"}}) == {"args": {"a": "x"}}


def test_defaults_are_filled_in_at_every_level_in_the_order_of_the_schema() -> None:
    whole = edited(INVITATION, {"guests": [{"name": "bob", "score": 1}], "host": {"name": "ann"}})
    ann, bob = {"name": "ann", "greeting": "hello"}, {"name": "bob", "score": 1.0, "greeting": "hello"}
    assert canonical(whole) == canonical({"host": ann, "guests": [bob], "seats": 2})


@pytest.mark.parametrize(("given", "kept"), [(3, 3.0), (0, 0.0), (-0.0, -0.0), (2.5, 2.5)])
def test_where_the_schema_says_number_a_whole_one_is_a_float(given: Any, kept: float) -> None:
    assert canonical(edited(closed(price={"type": "number"}), {"price": given})) == canonical({"price": kept})


@pytest.mark.parametrize("given", [True, False, 3, "3", None, [3]])
def test_where_it_says_nothing_the_value_stays_as_it_is(given: Any) -> None:
    assert canonical(edited(closed(any={}), {"any": given})) == canonical({"any": given})


@pytest.mark.parametrize("given", [3, True, None, {"b": 1}, [{"b": 1}]])
def test_an_argument_that_may_be_anything_is_taken(given: Any) -> None:
    """Some generators of schemas write that as `true`."""
    schema = closed(a=True, inner={"type": "object", "properties": {"a": True, "b": {"default": 1}}})
    assert edited(schema, {"a": given, "inner": {"a": given}}) == {"a": given, "inner": {"a": given, "b": 1}}
    assert edited(schema, {}) == {}


def test_an_argument_that_may_be_nothing_is_refused() -> None:
    assert edited(closed(a=TEXT, never=False), {"a": "x"}) == {"a": "x"}
    assert "False schema does not allow 1" in str(refused(closed(a=TEXT, never=False), {"a": "x", "never": 1}))


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, ["host"]),
        ({"host": {}}, ["host"]),
        ({"host": {"name": 1}}, ["host"]),
        ({"host": {"name": "ann"}, "guests": [{"name": "bob"}, {}]}, ["guests"]),
        ({"host": {"name": "ann"}, "seats": 2.5, "price": "1"}, ["price", "seats"]),
        ({"host": {"name": "ann"}, "seat": 2}, ["seat"]),
    ],
)
def test_what_does_not_fit_is_told_at_the_argument_it_is_in(given: Any, fields: list[str]) -> None:
    assert sorted(refused(INVITATION, given)) == fields


def test_what_is_wrong_with_all_of_them_is_told_at_all_of_them() -> None:
    schema = {**closed(a=TEXT, b=TEXT), "maxProperties": 1}
    assert list(refused(schema, {"a": "x", "b": "y"})) == ["args"]


def test_each_error_of_an_argument_is_told() -> None:
    errors = refused(closed(a={"type": "string", "minLength": 3, "pattern": "^x"}), {"a": "y"})
    assert len(errors["a"]) == 2


@pytest.mark.parametrize("others", [{"additionalProperties": False}, {}])
def test_an_argument_that_the_tool_does_not_have_is_refused(others: Any) -> None:
    schema = {"type": "object", "properties": {"a": TEXT}, **others}
    assert refused(schema, {"a": "x", "more": 1}, {"a": "w"})["more"] == NO_SUCH


def test_a_name_that_no_pattern_allows_is_told() -> None:
    schema = {**closed(a=TEXT), "patternProperties": {"^x-": {}}}
    assert "'more' was unexpected" in refused(schema, {"a": "x", "x-b": 1, "more": 1})["args"][0]


@pytest.mark.parametrize(
    "others",
    [
        {"additionalProperties": True},
        {"additionalProperties": {}},
        {"additionalProperties": {"type": "integer"}},
        {"patternProperties": {"^more$": {"type": "integer"}}},
        {"patternProperties": {"^more$": {"type": "integer"}}, "additionalProperties": False},
    ],
)
def test_one_that_it_may_have_is_taken(others: Any) -> None:
    schema = {"type": "object", "properties": {"a": TEXT}, **others}
    assert edited(schema, {"a": "x", "more": 1}) == {"a": "x", "more": 1}


@pytest.mark.parametrize(
    "others", [{"additionalProperties": {"type": "integer"}}, {"patternProperties": {"^more$": {"type": "integer"}}}]
)
def test_and_has_to_fit_what_the_schema_says_of_it(others: Any) -> None:
    schema = {"type": "object", "properties": {"a": TEXT}, **others}
    assert list(refused(schema, {"a": "x", "more": "1"})) == ["more"]


def test_what_was_asked_beside_the_listed_ones_may_stay_or_go() -> None:
    """A tool that lists arguments and says nothing of others has accepted them, or they would not be there."""
    schema = {"type": "object", "properties": {"a": TEXT}}
    asked = {"a": "w", "more": 1}
    assert edited(schema, {"a": "x", "more": 1}, asked) == {"a": "x", "more": 1}
    assert edited(schema, {"a": "x"}, asked) == {"a": "x"}
    assert refused(schema, {"a": "x", "other": 1}, asked) == {"other": NO_SUCH}


def test_a_schema_without_a_list_takes_whatever_is_sent() -> None:
    assert edited({"type": "object"}, {"a": 1, "b": [None]}) == {"a": 1, "b": [None]}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": ["a"]},
        {"properties": {"a": None}},
        {"properties": {"a": {"$ref": 5}}},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": []},
        {"properties": {"a": {"$ref": "https://example.com/a"}}},
        {"properties": {"a": {"type": "strnig"}}},
        {"properties": {"a": {"pattern": "["}}},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
    ],
)
def test_under_a_schema_that_can_not_be_read_nothing_can_be_edited(schema: Any) -> None:
    assert refused({"type": "object", **schema}, {"a": "x"}, {"a": "w"}) == {"args": [str(edits.UNREADABLE)]}


@pytest.mark.parametrize(
    ("asked", "given", "is_unchanged"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 0.0}, {"a": -0.0}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": None}, {}, False),
        ({"a": 1}, {"a": True}, False),
    ],
)
def test_what_is_unchanged_is_so_to_the_last_digit(asked: Any, given: Any, is_unchanged: bool) -> None:
    assert edits.is_unchanged(review_of({}, asked), given) is is_unchanged


DAY = {"type": "string", "format": "date"}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({"day": "soon"}, {"day": "soon"}),
        ({"days": ["soon", "2026-01-31"]}, {"days": ["2026-02-01", "soon"]}),
        ({"either": "soon"}, {"either": "soon"}),
        ({"trip": {"day": "soon"}}, {"trip": {"day": "soon", "to": "Rome"}}),
    ],
)
def test_a_format_that_the_tool_itself_did_not_insist_on_need_not_be_mended(asked: Any, given: Any) -> None:
    trip = {"type": "object", "properties": {"day": DAY, "to": TEXT}}
    either = {"anyOf": [DAY, {"type": "null"}]}
    schema = closed(day=DAY, days={"type": "array", "items": DAY}, either=either, trip=trip)
    assert edited(schema, given, asked) == given


@pytest.mark.parametrize(
    ("asked", "given", "field"),
    [
        ({"day": "soon"}, {"day": "later"}, "day"),
        ({"day": "soon"}, {"either": "soon"}, "either"),
        ({"to": "soon"}, {"day": "soon"}, "day"),
        ({"either": "soon"}, {"either": 1}, "either"),
    ],
)
def test_it_holds_for_what_the_person_writes(asked: Any, given: Any, field: str) -> None:
    schema = closed(day=DAY, either={"anyOf": [DAY, {"type": "null"}]}, to=TEXT)
    assert list(refused(schema, given, asked)) == [field]
