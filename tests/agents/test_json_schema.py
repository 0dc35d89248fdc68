"""JSON schemas of any draft and dialect, read as one."""

import time
from contextlib import suppress
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents import json_schema
from agents.json_schema import PATTERN_SECONDS, Unreadable, modern, validate, validator


def fits(schema: Any, value: Any) -> bool:
    try:
        validate(value, schema)
    except jsonschema.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"minimum": 1, "exclusiveMinimum": True}, 1.1, 1),
        ({"minimum": 1, "exclusiveMinimum": False}, 1, 0),
        ({"maximum": 1, "exclusiveMaximum": True}, 0.9, 1),
        ({"type": "int"}, 1, "1"),
        ({"type": "Float"}, 1.5, "1"),
        ({"type": ["str", "none"]}, None, 1),
        ({"type": "dict", "properties": {"a": {"type": "bool"}}}, {"a": True}, {"a": 1}),
        ({"type": "string", "nullable": True, "enum": ["a"]}, None, "b"),
        ({"nullable": True, "$ref": "#/definitions/A", "definitions": {"A": {"type": "integer"}}}, None, "b"),
        ({"properties": {"a": {"required": True}}}, {"a": 1}, {}),
        ({"properties": {"a": {"type": "object", "required": True, "properties": {}}}}, {"a": {}}, {}),
        ({"divisibleBy": 3}, 6, 7),
        ({"items": [{"type": "integer"}, {"type": "string"}], "additionalItems": False}, [1, "a"], [1, "a", 1]),
        ({"dependencies": {"a": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
        ({"dependencies": {"a": {"required": ["b"]}}}, {"b": 1}, {"a": 1}),
        ({"pattern": r"^\p{Script=Greek}+$"}, "αβγ", "abc"),
        ({"pattern": r"^[\w-\.]+$"}, "a-b.c", "a b"),
        ({"pattern": r"^(?<year>\d{4})$"}, "2026", "26"),
        ({"pattern": r"^\u{1F600}$"}, "😀", "a"),
        ({"patternProperties": {r"^\p{L}$": {"type": "integer"}}, "additionalProperties": False}, {"é": 1}, {"1": 1}),
        ({"patternProperties": {r"^\p{L}$": {"type": "integer"}}}, {"é": 1}, {"é": "x"}),
        ({"additionalProperties": {"type": "integer"}, "properties": {"a": {}}}, {"a": "x", "b": 1}, {"b": "x"}),
        ({"properties": None, "required": None, "enum": None, "items": None, "type": "object"}, {"a": 1}, 1),
        ({"const": None}, None, 1),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}, [1], ["a"]),
    ],
)
def test_other_drafts_and_dialects_say_what_they_mean(schema: Any, good: Any, bad: Any) -> None:
    assert fits(schema, good)
    assert not fits(schema, bad)


def test_any_type_is_any_type() -> None:
    assert fits({"type": "any"}, 1)
    assert fits({"type": ["any", "null"]}, None)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strnig"},
        {"type": 5},
        {"pattern": "["},
        {"patternProperties": {"(": {}}},
        {"$ref": "#/$defs/Z"},
        {"$ref": "http://127.0.0.1:9/x.json"},
        {"$ref": "other.json"},
        {"$ref": "#"},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"allOf": {"a": 1}},
        {"required": "a"},
        {"minimum": "1"},
        [],
        None,
        {"default": object()},
    ],
)
def test_what_can_not_be_read_is_said_with_a_reason(schema: Any) -> None:
    with pytest.raises(Unreadable) as error:
        validator(schema)
    assert str(error.value)


def test_a_pattern_that_takes_for_ever_ends() -> None:
    begun = time.process_time()
    assert not fits({"pattern": "^(a|aa)+$"}, "a" * 60 + "!")
    assert time.process_time() - begun < 5 * PATTERN_SECONDS  # by itself it would take longer than the universe is old


def test_an_endless_combination_is_no_crash() -> None:
    with pytest.raises(Unreadable):
        validate({}, {"allOf": [{"$ref": "#"}]})


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["int", "object", "#", "any"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "required", "items", "nullable", "$ref", "minimum", "exclusiveMinimum", "pattern"),
                    *(*json_schema.MAPS, *json_schema.LISTS, *json_schema.ONES, "dependencies", "enum", "a"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(deadline=None, max_examples=500)
@given(JUNK, JUNK)
@example({"minimum": False, "exclusiveMinimum": True}, None)
@example({"additionalItems": {"properties": False}}, None)
@example({"items": [], "additionalItems": []}, None)
@example({"items": {}, "additionalItems": {"pattern": True}}, [])
def test_any_schema_is_read_or_refused_and_nothing_else(schema: Any, value: Any) -> None:
    once = modern(schema)
    assert modern(once) == once
    with suppress(Unreadable, jsonschema.ValidationError):
        validate(value, schema)


def test_a_date_that_may_be_null_is_read() -> None:
    assert modern({"type": ["datetime", "null"]}) == {"type": ["string", "null"], "format": "date-time"}
    assert fits({"type": ["datetime", "null"]}, None)


def test_a_nullable_reference_takes_nothing_of_the_rest_away() -> None:
    schema = {"$ref": "#/$defs/A", "nullable": True, "anyOf": [{"minimum": 5}], "$defs": {"A": {"type": "integer"}}}
    assert not fits(schema, 1)
    assert fits(schema, 6)
