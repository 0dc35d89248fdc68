"""What a reviewer reads at a field whose value does not fit the tool's schema, and at which field."""

from typing import Any

import jsonschema
import pytest

from reviews.argument_form import errors
from reviews.decisions import edits

TEXT = {"type": "string"}
WRONG = "This has the wrong type."


def explained(schema: Any, value: Any) -> list[tuple[list[Any], str]]:
    """Every error of the argument `a`: the way to it, and what is said."""
    found = edits.problems({"type": "object", "properties": {"a": schema}}, {"a": value}, {})
    return [errors.explained(error) for error in found]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (TEXT, 1, WRONG),
        ({"type": "integer"}, True, WRONG),
        ({"type": ["string", "null"]}, 1, WRONG),
        ({"enum": ["small", "large"]}, "huge", "Choose one of these."),
        ({"const": "EUR"}, "USD", "This can't be changed."),
        ({"minimum": 1}, 0, "At least 1."),
        ({"maximum": 1.5}, 2, "At most 1.5."),
        ({"exclusiveMinimum": 0}, 0, "More than 0."),
        ({"exclusiveMaximum": 10}, 10, "Less than 10."),
        ({"minimum": 0, "exclusiveMinimum": True}, 0, "More than 0."),
        ({"multipleOf": 0.5}, 0.7, "A multiple of 0.5."),
        ({"minLength": 3}, "ab", "At least 3 characters."),
        ({"maxLength": 3}, "abcd", "At most 3 characters."),
        ({"minItems": 2}, [1], "At least 2 items."),
        ({"maxItems": 1}, [1, 2], "At most 1 items."),
        ({"uniqueItems": True}, [1, 1], "Each item must be unique."),
        ({"pattern": "^A-[0-9]+$"}, "B", "This does not match the format ^A-[0-9]+$"),
        ({"pattern": "^100%s$"}, "B", "This does not match the format ^100%s$"),
        ({"contains": {"const": "x"}}, ["y"], "A required item is missing from the list."),
        ({"minProperties": 1}, {}, "At least 1 entries."),
        ({"maxProperties": 1}, {"x": 1, "y": 2}, "At most 1 entries."),
        ({"additionalProperties": False}, {"x": 1}, "The tool has no such argument."),
    ],
)
def test_each_rule_has_words_with_its_limit(schema: Any, value: Any, message: str) -> None:
    assert explained(schema, value) == [(["a"], message)]


@pytest.mark.parametrize("name", errors.FORMATS)
def test_a_format_has_an_example(name: str) -> None:
    assert explained({"type": "string", "format": name}, "?") == [(["a"], str(errors.FORMATS[name]))]


@pytest.mark.parametrize("name", ["ipv4", "hostname", "regex"])
def test_one_without_an_example_is_named(name: str) -> None:
    assert explained({"type": "string", "format": name}, "[?") == [(["a"], f"This does not match the format {name}")]


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"not": {"const": 1}}, 1, "should not be valid under"),
        ({"dependentRequired": {"x": ["y"]}}, {"x": 1}, "'y' is a dependency of 'x'"),
        ({"type": "object", "propertyNames": {"maxLength": 1}}, {"long": 1}, "At most 1 characters."),
        (False, 1, "False schema does not allow 1"),
    ],
)
def test_a_rule_without_words_of_ours_is_told_in_those_of_the_check(schema: Any, value: Any, said: str) -> None:
    ((_path, message),) = explained(schema, value)
    assert said in message


@pytest.mark.parametrize(
    ("schema", "value", "path"),
    [
        ({"type": "array", "items": TEXT}, ["x", 1], ["a", 1]),
        ({"properties": {"b": {"properties": {"c": TEXT}}}}, {"b": {"c": 1}}, ["a", "b", "c"]),
        ({"required": ["b", "c"]}, {"b": 1}, ["a", "c"]),
        ({"type": "array", "items": {"required": ["b"]}}, [{"b": 1}, {}], ["a", 1, "b"]),
    ],
)
def test_it_stands_at_the_part_that_is_wrong_or_missing(schema: Any, value: Any, path: list[Any]) -> None:
    assert [found for found, _message in explained(schema, value)] == [path]


@pytest.mark.parametrize(
    ("branches", "value", "expected"),
    [
        ([{"type": "string", "maxLength": 2}, {"type": "null"}], "abc", (["a"], "At most 2 characters.")),
        ([TEXT, {"type": "null"}], 1, (["a"], WRONG)),
        ([TEXT, {"type": "array", "items": TEXT}], ["x", 1], (["a", 1], WRONG)),
        ([{"type": "null"}, {"anyOf": [{"type": "integer", "minimum": 5}, TEXT]}], 3, (["a"], "At least 5.")),
        ([{"type": "null"}, {"properties": {"b": {"minimum": 5}}}], {"b": 3}, (["a", "b"], "At least 5.")),
    ],
)
@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
def test_of_several_branches_the_one_that_comes_nearest_speaks(
    word: str, branches: list[Any], value: Any, expected: Any
) -> None:
    assert explained({word: branches}, value) == [expected]


@pytest.mark.parametrize(
    "schema", [{"type": "string", "pattern": "^\u202eA$"}, {"not": {"const": "\u202e"}}, {"const": "\u202e"}]
)
def test_no_text_of_a_schema_turns_the_page_around(schema: Any) -> None:
    messages = [message for _path, message in explained(schema, "\u202e" if "not" in schema else "x")]
    assert messages
    assert all("\u202e" not in message for message in messages)


def test_an_error_that_is_no_error_of_an_object_keeps_its_way() -> None:
    """A list of required names says something of objects only, whatever another check makes of it."""
    error = jsonschema.ValidationError("x", validator="required", validator_value=["b"], instance=["b"], path=["a"])
    assert errors.explained(error) == (["a"], "A value is required.")
