"""How the spelling of each draft and dialect is written in today's draft."""

import copy
from typing import Any

import pytest

from agents.json_schema import Unreadable, modern, validator

INTEGER, STRING = {"type": "integer"}, {"type": "string"}


def check(given: Any, expected: Any) -> None:
    before = copy.deepcopy(given)
    assert modern(given) == expected
    assert given == before, "what a server sent is left as it was"
    assert modern(expected) == expected, "what is modern stays so"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "any"}, {}),
        ({"type": ["any", "null"]}, {}),
        ({"divisibleBy": 5}, {"multipleOf": 5}),
        ({"divisibleBy": 5, "multipleOf": 2}, {"multipleOf": 2}),
        ({"dependencies": {"a": "b"}}, {"dependentRequired": {"a": ["b"]}}),
        ({"required": True}, {}),
        ({"required": False, "type": "string"}, STRING),
        (
            {"properties": {"a": {"type": "string", "required": True}, "b": {"required": False}}},
            {"properties": {"a": STRING, "b": {}}, "required": ["a"]},
        ),
        (
            {"properties": {"a": {"required": True}, "b": {"required": True}}, "required": ["b", "c"]},
            {"properties": {"a": {}, "b": {}}, "required": ["b", "c", "a"]},
        ),
    ],
)
def test_draft_3(given: Any, expected: Any) -> None:
    check(given, expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}),
        ({"maximum": 9, "exclusiveMaximum": True}, {"exclusiveMaximum": 9}),
        ({"maximum": 9, "exclusiveMaximum": False}, {"maximum": 9}),
        ({"exclusiveMinimum": True}, {}),
        ({"exclusiveMaximum": False}, {}),
        (
            {"minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": False},
            {"exclusiveMinimum": 0, "maximum": 1},
        ),
        (
            {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "definitions": {"a": {"minimum": 1, "exclusiveMinimum": True}},
            },
            {"definitions": {"a": {"exclusiveMinimum": 1}}},
        ),
    ],
)
def test_draft_4(given: Any, expected: Any) -> None:
    check(given, expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"exclusiveMinimum": 1}, {"exclusiveMinimum": 1}),
        ({"minimum": 0, "exclusiveMinimum": 0}, {"minimum": 0, "exclusiveMinimum": 0}),
        ({"items": [INTEGER]}, {"prefixItems": [INTEGER]}),
        ({"items": [INTEGER], "additionalItems": False}, {"prefixItems": [INTEGER], "items": False}),
        ({"items": [INTEGER], "additionalItems": True}, {"prefixItems": [INTEGER], "items": True}),
        (
            {"items": [{"type": "int"}], "additionalItems": {"type": "str"}},
            {"prefixItems": [INTEGER], "items": STRING},
        ),
        ({"items": INTEGER, "additionalItems": False}, {"items": INTEGER}),
        ({"additionalItems": False}, {}),
        ({"items": []}, {"prefixItems": []}),
        ({"dependencies": {}}, {}),
        ({"dependencies": {"a": ["b", "c"]}}, {"dependentRequired": {"a": ["b", "c"]}}),
        ({"dependencies": {"a": {"type": "int"}}}, {"dependentSchemas": {"a": INTEGER}}),
        ({"dependencies": {"a": False}}, {"dependentSchemas": {"a": False}}),
        (
            {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}},
            {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}}},
        ),
    ],
)
def test_drafts_6_and_7(given: Any, expected: Any) -> None:
    check(given, expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, {"type": "string", "nullable": False}),
        ({"type": ["string", "null"], "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string", "integer"], "nullable": True}, {"type": ["string", "integer", "null"]}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": "string", "enum": ["a", None], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"$ref": "#/$defs/A", "nullable": True}, {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}),
        ({"nullable": True}, {}),
        ({"nullable": True, "type": "any"}, {}),
        ({"nullable": None, "type": "string"}, STRING),
    ],
)
def test_openapi_3_0(given: Any, expected: Any) -> None:
    check(given, expected)


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (("int", "Integer", "LONG", "int32", "int64"), "integer"),
        (("float", "Double", "decimal", "NUMBER"), "number"),
        (("str", "Text", "STRING"), "string"),
        (("list", "tuple", "Set", "ARRAY"), "array"),
        (("dict", "Map", "OBJECT"), "object"),
        (("None", "NoneType", "nil", "NULL"), "null"),
        (("bool", "Bool", "BOOLEAN"), "boolean"),
    ],
)
def test_names_of_types_in_other_languages(names: tuple[str, ...], meant: str) -> None:
    for name in names:
        check({"type": name}, {"type": meant})
    assert modern({"type": list(names)}) == {"type": [meant]}, "each of them once"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("date", "date"),
        ("Date", "date"),
        ("datetime", "date-time"),
        ("date-time", "date-time"),
        ("time", "time"),
        ("UUID", "uuid"),
    ],
)
def test_a_format_in_the_place_of_a_type(name: str, form: str) -> None:
    check({"type": name}, {"type": "string", "format": form})
    check({"type": name, "format": "own"}, {"type": "string", "format": "own"})


@pytest.mark.parametrize("key", ["allOf", "anyOf", "oneOf", "prefixItems"])
def test_it_goes_into_every_list_of_schemas(key: str) -> None:
    check({key: [{"type": "int"}, True]}, {key: [INTEGER, True]})


@pytest.mark.parametrize("key", ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"])
def test_it_goes_into_every_map_of_schemas(key: str) -> None:
    check({key: {"a": {"type": "int"}, "b": False}}, {key: {"a": INTEGER, "b": False}})


@pytest.mark.parametrize(
    "key",
    ["items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "unevaluatedItems"],
)
def test_it_goes_into_every_single_schema(key: str) -> None:
    check({key: {"type": "int"}}, {key: INTEGER})
    check({key: False}, {key: False})


@pytest.mark.parametrize("key", ["const", "default", "examples", "enum"])
def test_values_are_no_schemas(key: str) -> None:
    value = [{"type": "int", "nullable": True, "required": True}]
    check({key: value}, {key: value})


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    given = {"properties": {"type": {"type": "str"}, "nullable": {"type": "bool"}, "items": {"type": "list"}}}
    expected = {"properties": {"type": STRING, "nullable": {"type": "boolean"}, "items": {"type": "array"}}}
    check(given, expected)


@pytest.mark.parametrize("key", ["const", "default", "examples"])
def test_null_is_a_value_where_values_stand(key: str) -> None:
    check({key: None}, {key: None})


@pytest.mark.parametrize("key", ["title", "items", "minimum", "required", "pattern", "properties", "type"])
def test_null_means_nothing_where_something_else_stands(key: str) -> None:
    check({key: None}, {})


@pytest.mark.parametrize("given", [True, False, None, 5, "string", []])
def test_what_is_no_object_stays_as_it_is(given: Any) -> None:
    assert modern(given) is given


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "strnig"}, "$.type: 'strnig' is not valid"),
        ({"properties": {"a": {"minLength": -1}}}, "$.properties.a.minLength: -1 is less than the minimum of 0"),
        ({"pattern": "("}, "the pattern '(' can't be read"),
        ({"patternProperties": {"[": {}}}, "the pattern '[' can't be read"),
        ({"$ref": "#/$defs/B", "$defs": {}}, "its reference '#/$defs/B' doesn't exist in it"),
        ({"$ref": "https://example.com/x.json"}, "its reference 'https://example.com/x.json' doesn't exist in it"),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
            "its reference '#/$defs/b' leads back to itself",
        ),
        ({"default": {1, 2}}, "it is not valid JSON"),
        ({"items": [{}], "additionalItems": "x"}, "$.items"),
    ],
)
def test_a_schema_that_can_not_be_used_says_where_and_why(schema: Any, told: str) -> None:
    with pytest.raises(Unreadable) as refused:
        validator(schema)
    assert told in str(refused.value)


def test_a_schema_that_is_nested_too_deeply_is_said_to_be() -> None:
    schema: dict[str, Any] = {}
    for _ in range(3_000):
        schema = {"not": schema}
    with pytest.raises(Unreadable, match=r"nested too deeply|not valid JSON"):
        validator(schema)
