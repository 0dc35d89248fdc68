"""The arguments form: what nobody touched comes back as it was, what was typed becomes a value of the schema."""

from typing import Any

import pytest

from core.text import canonical
from reviews.argument_form.fields import Choice, Json, Lines, Number, Text
from reviews.argument_form.form import PARTS, ArgumentsForm, Group, Items
from reviews.argument_form.parts import ABSENT
from tests.support.desk_tools import ASKED, Order

SCHEMA = Order.model_json_schema()


def form_of(schema: Any, value: Any, data: dict[str, str] | None = None, *, required: bool = False) -> ArgumentsForm:
    """A form with the one argument `x`, which its field `arg-0` holds."""
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"] if required else []}
    return ArgumentsForm(whole, {} if value is ABSENT else {"x": value}, data)


def part_of(schema: Any, value: Any, **more: Any) -> Any:
    root: Any = form_of(schema, value, **more).root
    return root.children["x"] if isinstance(root, Group) else root


def typed(schema: Any, value: Any, text: str, **more: Any) -> Any:
    """What becomes of `x` when this is typed; the error where there is one."""
    form = form_of(schema, value, {"arg-0": text}, **more)
    form.validate()
    return form.errors[0] if form.errors else form.args.get("x", ABSENT)


def shown_fields(part: Any) -> dict[str, str]:
    """What a browser would send of an untouched form, with its line ends."""
    if isinstance(part, Group):
        return {name: text for child in part.parts for name, text in shown_fields(child).items()}
    if isinstance(part, Items):
        return {name: text for item in [*part.items, part.spare] for name, text in shown_fields(item).items()}
    ticks = {f"{part.name}-none": "on"} if isinstance(part, Text) and part.was_ticked else {}
    return {part.name: part.text.replace("\n", "\r\n"), **ticks}


@pytest.mark.parametrize(
    ("schema", "value", "kind"),
    [
        ({"type": "string"}, "a", Text),
        ({"type": "integer"}, 1, Number),
        ({"type": "number"}, 1.5, Number),
        ({"type": "boolean"}, True, Choice),
        ({"enum": ["a", "b"]}, "a", Choice),
        ({"enum": ["a", None]}, None, Choice),
        ({"const": "a"}, "a", Choice),
        ({"type": "array", "items": {"type": "string"}}, ["a"], Lines),
        ({"type": "array", "items": {"type": "integer"}}, [1], Lines),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, Text),
        ({"type": ["integer", "null"]}, 3, Number),
        ({"type": "object", "properties": {"y": {"type": "string"}}}, {"y": "a"}, Group),
        ({"type": "array", "items": {"type": "object", "properties": {"y": {"type": "string"}}}}, [{"y": "a"}], Items),
        ({"$ref": "#/$defs/nowhere"}, "a", Json),
        ({}, "a", Json),
        (True, "a", Json),
        ({"type": "object"}, {"y": 1}, Json),
        ({"type": "string"}, 5, Json),
        ({"type": "integer"}, "5", Json),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "5", Json),
        ({"type": "array", "items": {"type": "string"}}, ["a\nb"], Json),
        ({"type": "array", "items": {"type": "string"}}, [""], Json),
        ({"type": "string"}, r"\u{202e} and " + "\u202e", Json),
    ],
)
def test_each_schema_has_its_field(schema: Any, value: Any, kind: Any) -> None:
    assert type(part_of(schema, value)) is kind


@pytest.mark.parametrize("data", [{}, None])
def test_a_form_that_sends_nothing_changes_nothing(data: Any) -> None:
    form = ArgumentsForm(SCHEMA, ASKED, data)
    assert canonical(form.args) == canonical(ASKED)


ODD_TEXTS = ["", " ", "\n", "\na\n\n", "a\r\nb\rc", "\u202eevil\u200b", "\U000e0041", "\t x ", "1.0", "null", "𝄞"]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_an_untouched_text_comes_back_as_it_was(text: str) -> None:
    asked = {**ASKED, "note": text, "comment": text, "tags": [text], "extra": {text: text}}
    form = ArgumentsForm(SCHEMA, asked)
    again = ArgumentsForm(SCHEMA, asked, shown_fields(form.root))
    assert canonical(again.args) == canonical(asked)
    assert not again.is_changed


@pytest.mark.parametrize("value", [0, -0.0, 1.0, 1e22, 2**70, 1, 0.1 + 0.2, 1e-7])
def test_an_untouched_number_keeps_its_form(value: Any) -> None:
    asked = {"price": value}
    form = ArgumentsForm(SCHEMA, asked)
    assert canonical(ArgumentsForm(SCHEMA, asked, shown_fields(form.root)).args) == canonical(asked)


def test_absent_keys_stay_absent_and_the_order_stays() -> None:
    asked = {"price": 1.5, "note": "n", "unknown": [1]}
    form = ArgumentsForm(SCHEMA, asked)
    assert canonical(ArgumentsForm(SCHEMA, asked, shown_fields(form.root)).args) == canonical(asked)


@pytest.mark.parametrize(
    ("schema", "value", "text", "expected"),
    [
        ({"type": "string"}, "a", " b \r\nc ", " b \nc "),
        ({"type": "string"}, "a", "", ""),
        ({"type": "string"}, ABSENT, "b", "b"),
        ({"type": ["string", "null"]}, None, "b", "b"),
        ({"type": "string"}, "x\u202ey", r"z\u{202e}y", "z\u202ey"),
        ({"type": "string"}, "x", r"\u{202e}", r"\u{202e}"),
        ({"type": "integer"}, 1, " 2 ", 2),
        ({"type": "number"}, 1.5, "2", 2),
        ({"type": "number"}, 1.5, "2.50", 2.5),
        ({"type": ["number", "null"]}, 1.5, "", None),
        ({"type": "number"}, 1.5, "", ABSENT),
        ({"type": "boolean"}, True, "false", False),
        ({"type": "boolean"}, True, "", ABSENT),
        ({"enum": ["a", "b"]}, "a", '"b"', "b"),
        ({"type": "array", "items": {"type": "string"}}, ["a"], "a\r\n\r\n b", ["a", " b"]),
        ({"type": "array", "items": {"type": "integer"}}, [1], "1\n2", [1, 2]),
        ({"type": "array", "items": {"type": "string"}}, ["a"], "", []),
        ({}, {"a": 1}, '{"a": 2.0}', {"a": 2.0}),
        ({}, {"a": 1}, "null", None),
        ({}, {"a": 1}, '"\\ud800"', "?"),
        ({"type": "string"}, "a", "x\x00", "x\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_is_typed_becomes_a_value(schema: Any, value: Any, text: str, expected: Any) -> None:
    found = typed(schema, value, text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("schema", "value", "text", "error"),
    [
        ({"type": "integer"}, 1, "1.5", "whole number"),
        ({"type": "number"}, 1.5, "NaN", "Enter a number"),
        ({"type": "number"}, 1.5, "1e999", "Enter a number"),
        ({"type": "number"}, 1.5, "true", "Enter a number"),
        ({"type": "number", "maximum": 5}, 1.5, "6", "At most 5."),
        ({"type": "integer", "minimum": 1}, 1, "0", "At least 1."),
        ({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}, 1, "0", "At least 1."),
        ({"type": "string", "minLength": 2}, "ab", "a", "At least 2 characters."),
        ({"type": "string", "pattern": "^a"}, "ab", "b", "the format ^a"),
        ({"enum": ["a", "b"]}, "a", '"c"', "Choose one"),
        ({"type": "array", "items": {"type": "integer"}}, [1], "x", "whole number"),
        ({}, {"a": 1}, "{", "not valid JSON"),
        ({}, {"a": 1}, "NaN", "not valid JSON"),
    ],
)
def test_what_does_not_fit_is_told(schema: Any, value: Any, text: str, error: str) -> None:
    found = typed(schema, value, text)
    assert error in str(found)


def test_a_needed_number_can_not_be_emptied() -> None:
    assert typed({"type": "integer"}, 1, "", required=True) == "A value is required."


@pytest.mark.parametrize(
    ("value", "data", "expected"),
    [
        (None, {"arg-0": "", "arg-0-none": "on"}, None),
        (None, {"arg-0": ""}, ""),
        ("a", {"arg-0": "a", "arg-0-none": "on"}, None),
        ("a", {"arg-0": "b", "arg-0-none": "on"}, "b"),
    ],
)
def test_a_tick_says_no_value_unless_something_is_written(value: Any, data: Any, expected: Any) -> None:
    assert form_of({"type": ["string", "null"]}, value, data).args == {"x": expected}


def test_an_error_stands_at_its_field_however_deep() -> None:
    form = ArgumentsForm(SCHEMA, ASKED, {"arg-6-1-1": "0"})
    assert not form.validate()
    root: Any = form.root
    assert root.children["lines"].items[1].children["count"].errors == ["At least 1."]
    assert root.children["lines"].items[1].children["count"].text == "0"


def test_an_item_is_taken_out_and_one_is_added() -> None:
    form = ArgumentsForm(SCHEMA, ASKED, {"arg-6-0-remove": "on", "arg-6-new-0": "z", "arg-6-new-1": "4"})
    assert form.validate()
    assert form.args["lines"] == [{"article": "y", "count": 1}, {"article": "z", "count": 4}]


def test_an_error_of_an_added_item_stands_at_it() -> None:
    form = ArgumentsForm(SCHEMA, ASKED, {"arg-6-0-remove": "on", "arg-6-new-0": "z"})
    assert not form.validate()
    root: Any = form.root
    assert root.children["lines"].spare.children["count"].errors == ["A value is required."]


def test_a_key_that_the_tool_does_not_know_is_told_above() -> None:
    form = ArgumentsForm({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1, "b": 2}, {"arg-0": "3"})
    assert not form.validate()
    assert form.errors == ["The tool has no such argument."]


@pytest.mark.parametrize("schema", [{}, None, {"properties": 5}, {"type": "object"}])
def test_without_a_schema_the_whole_is_json(schema: Any) -> None:
    form = ArgumentsForm(schema, {"a": 1}, {"arg": '{"a": 2}'})
    assert form.args == {"a": 2}


def test_a_schema_that_holds_itself_ends_in_json() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    schema = {"$defs": {"Node": node}, **node}
    asked: Any = {}
    for _round in range(12):
        asked = {"next": asked}
    assert ArgumentsForm(schema, asked, {}).args == asked


def test_a_form_of_too_many_fields_is_json() -> None:
    schema = {"type": "object", "properties": {f"a{n}": {"type": "string"} for n in range(PARTS + 5)}}
    assert type(ArgumentsForm(schema, {"a0": "x"}).root) is Json


def test_arguments_that_are_too_long_are_not_for_a_form() -> None:
    form = ArgumentsForm(SCHEMA, {"note": "x" * 300_000})
    assert form.root is None
    assert form.validate()
