"""The arguments form under odd schemas and values, many of them drawn at random."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.text import canonical
from reviews.argument_form.form import ArgumentsForm, Group, Items

NESTED = {
    "type": "object",
    "required": ["to"],
    "properties": {
        "to": {"type": "string"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "count": {"type": "integer", "minimum": 1},
        "price": {"type": "number"},
        "paid": {"type": "boolean"},
        "size": {"enum": ["small", "large"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "address": {"$ref": "#/$defs/Address"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
        "free": {},
    },
    "$defs": {
        "Address": {"type": "object", "properties": {"street": {"type": "string"}, "zip": {"type": "string"}}},
        "Line": {
            "type": "object",
            "required": ["sku"],
            "properties": {"sku": {"type": "string"}, "n": {"type": "integer", "maximum": 5}},
        },
    },
}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12) | st.sampled_from(
    ["", " ", "\n", "\r\n", " a\n", "\ta\r", "\\u{202e}", "\u202e", "\\u{202e}\u202e", "\u200b\\u{200b}", "null", "–"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
NAMES = st.sampled_from([*NESTED["properties"], "unknown"])
ARGS = st.dictionaries(NAMES, VALUES, max_size=8)


def sent(part: Any) -> dict[str, str]:
    """What a browser without a script sends for this part when nobody touches it."""
    if isinstance(part, Group):
        return {name: text for child in part.parts for name, text in sent(child).items()}
    if isinstance(part, Items):
        shown = [*(child for child, _removed in part.parts), part.spare]
        return {name: text for child in shown for name, text in sent(child).items()}
    text = part.text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    ticked = {f"{part.name}-none": "on"} if getattr(part, "is_ticked", False) else {}
    return {part.name: text, **ticked}


def form_of(schema: Any, args: Any, **typed: str) -> ArgumentsForm:
    """The form as it comes back, with these fields typed over; an empty tick is none."""
    shown = ArgumentsForm(schema, args)
    return ArgumentsForm(schema, args, {**sent(shown.root), **typed})


@settings(deadline=None, max_examples=400)
@given(ARGS)
def test_what_nobody_touched_comes_back_to_the_last_digit(args: dict[str, Any]) -> None:
    form = form_of(NESTED, args)
    assert form.errors == []
    assert canonical(form.args) == canonical(args)
    assert not form.is_changed


def one(schema: Any, value: Any, typed: str, **more: str) -> ArgumentsForm:
    """A form of one argument `a`, as it comes back with this typed into its field, and validated."""
    whole = {"type": "object", "required": ["a"], "properties": {"a": schema}}
    form = form_of(whole, {"a": value}, **{"arg-0": typed, **more})
    form.validate()
    return form


TEXT, NUMBER, WHOLE, YES_NO = ({"type": name} for name in ("string", "number", "integer", "boolean"))


@pytest.mark.parametrize(
    ("schema", "value", "typed", "read"),
    [
        (TEXT, "x", " y\r\nz ", " y\nz "),
        (TEXT, "a\u202eb", r"a\u{202e}bc", "a\u202ebc"),  # a mark stands for the character that was asked
        (TEXT, "ab", r"a\u{202e}b", r"a\u{202e}b"),  # and for itself where nothing was hidden
        (TEXT, "x", "", ""),
        (WHOLE, 1, "2", 2),
        (NUMBER, 1.5, "2.0", 2.0),
        (NUMBER, 1.5, "2", 2),
        (YES_NO, True, "false", False),
        ({"enum": ["s", 5]}, "s", "5", 5),
        ({"type": "array", "items": TEXT}, ["a"], "a\r\nb\r\n", ["a", "b"]),
        ({"type": "array", "items": WHOLE}, [1], "", []),
        ({"anyOf": [WHOLE, {"type": "null"}]}, 1, "", None),
        ({}, 1, '{"x": [1, 2.0]}', {"x": [1, 2.0]}),
        (True, 1, "null", None),
    ],
)
def test_what_was_typed_is_read_by_the_type_of_the_schema(schema: Any, value: Any, typed: str, read: Any) -> None:
    form = one(schema, value, typed)
    assert form.errors == []
    assert canonical(form.args["a"]) == canonical(read)


@pytest.mark.parametrize(
    ("schema", "value", "typed"),
    [
        (WHOLE, 1, "1.0"),
        (WHOLE, 1, "\u0663"),
        (WHOLE, 1, ""),
        ({**WHOLE, "minimum": 1}, 1, "0"),
        (NUMBER, 1.5, "NaN"),
        (NUMBER, 1.5, "1e400"),
        (YES_NO, True, "maybe"),
        ({"const": 5}, 5, "6"),
        ({**TEXT, "maxLength": 2}, "ab", "abc"),
        ({**TEXT, "pattern": "%d"}, "%d", "%s"),
        ({"type": "array", "items": WHOLE}, [1], "1\nx"),
        ({"type": "array", "items": {**TEXT, "maxLength": 1}}, ["a"], "a\nbb"),
        ({"anyOf": [WHOLE, TEXT]}, 1, "[1]"),
        ({}, 1, "{"),
        ({}, 1, "[" * 100_000),
        ({}, 1, "Infinity"),
    ],
)
def test_what_does_not_fit_is_told_at_its_field(schema: Any, value: Any, typed: str) -> None:
    form = one(schema, value, typed)
    assert isinstance(form.root, Group)
    assert len(form.root.children["a"].errors) == 1


@pytest.mark.parametrize(
    "schema", [{"type": "strnig"}, {**TEXT, "pattern": "["}, {"$ref": "#/$defs/Z"}, {"$ref": "http://x/"}]
)
def test_a_broken_schema_lets_nothing_be_changed_and_all_be_approved(schema: Any) -> None:
    assert "can't be read" in one(schema, "x", '"y"').errors[0]
    assert form_of({"type": "object", "properties": {"a": schema}}, {"a": "x"}).validate()


def test_an_item_is_taken_out_and_one_is_added() -> None:
    args = {"to": "x", "lines": [{"sku": "a"}, {"sku": "b"}]}
    at = "arg-1"  # the second that was asked
    form = form_of(NESTED, args, **{f"{at}-0-remove": "on", f"{at}-new-0": "c", f"{at}-new-1": "9"})
    assert not form.validate()
    assert form.args["lines"] == [{"sku": "b"}, {"sku": "c", "n": 9}]
    assert form.errors == ["At most 5."]


def test_a_text_can_be_left_out_or_be_nothing_or_be_empty() -> None:
    args = {"to": "x", "note": "n"}
    assert form_of(NESTED, args, **{"arg-1": "n", "arg-1-none": "on"}).args == {"to": "x", "note": None}
    assert form_of(NESTED, args, **{"arg-1": ""}).args == {"to": "x", "note": ""}
    assert form_of(NESTED, {"to": "x"}, **{"arg-1": "new"}).args == {"to": "x", "note": "new"}


SCHEMA_WORDS = [
    "type",
    "properties",
    "items",
    "enum",
    "const",
    "anyOf",
    "allOf",
    "$ref",
    "$defs",
    "required",
    "maxLength",
]
SCHEMA_VALUES = st.sampled_from(["object", "array", "string", "integer", "null", "#/$defs/a", "#"]) | VALUES
SCHEMAS = st.recursive(
    SCHEMA_VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SCHEMA_WORDS, "a", "b"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=400)
@given(SCHEMAS, st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3), st.sampled_from(["1", "", "[]"]))
def test_any_schema_makes_a_form_and_never_an_exception(schema: Any, args: dict[str, Any], typed: str) -> None:
    shown = ArgumentsForm(schema, args)
    assert shown.root is not None
    assert not ArgumentsForm(schema, args, sent(shown.root)).is_changed
    ArgumentsForm(schema, args, {**sent(shown.root), "arg": typed, "arg-0": typed}).validate()
