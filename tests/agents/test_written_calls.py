"""A call as a model wrote it: what is read of it, and what the model is told where nothing can be read."""

import json
from typing import Any

import pytest

from agents.runtime.endpoints import written_calls
from agents.runtime.endpoints.written_calls import MAX_LEVELS, NO_JSON, TOO_DEEP, Malformed
from core.text import LARGEST, SMALLEST

BEYOND = "The arguments contained an integer beyond 64 bits. Write it as a string, or use a smaller one."


def nested(levels: int, text: str = "1") -> str:
    """Arguments of this many levels, the object itself included."""
    return '{"a":' + "[" * (levels - 1) + text + "]" * (levels - 1) + "}"


def raw(**more: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": "multiply", "arguments": '{"a": 2}'}, **more}


def told(given: Any) -> str:
    with pytest.raises(Malformed) as caught:
        written_calls.call(given)
    return str(caught.value)


def why(text: Any) -> str:
    with pytest.raises(Malformed) as caught:
        written_calls.arguments(text)
    return str(caught.value)


@pytest.mark.parametrize("kind", [{}, {"type": "function"}, {"type": None}, {"type": ""}, {"index": 3}])
def test_a_call_is_its_name_its_arguments_and_its_id(kind: Any) -> None:
    given = raw(**kind) if "type" in kind else {**{k: v for k, v in raw().items() if k != "type"}, **kind}
    assert written_calls.call(given) == ("multiply", {"a": 2}, "c1")


def test_an_id_may_be_missing() -> None:
    assert written_calls.call(raw(id=None)) == ("multiply", {"a": 2}, None)


@pytest.mark.parametrize("given", [None, [], "multiply", 1, [raw()]])
def test_whatever_is_no_object_is_no_call(given: Any) -> None:
    assert told(given) == "The call was not an object."


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("custom", "the type 'custom'"),
        ("x" * 51, f"the type '{'x' * 49}…'"),
        (7, "such a type"),
        (["f"], "such a type"),
    ],
)
def test_a_call_of_another_type_is_told_by_its_name_if_that_is_one(kind: Any, named: str) -> None:
    assert told(raw(type=kind)) == f"Calls of {named} are not supported. Call a function."


@pytest.mark.parametrize("function", [None, "multiply", ["multiply"], {}, {"name": None}, {"name": 1}, {"name": " \n"}])
def test_a_call_names_a_function(function: Any) -> None:
    assert told(raw(function=function)) == "The call doesn't name a function."


@pytest.mark.parametrize("call_id", [0, 1.5, True, ["c1"], {"id": "c1"}])
def test_an_id_that_is_no_text_is_told(call_id: Any) -> None:
    assert told(raw(id=call_id)) == "The call's ID was not a string, so no result could be returned for it."


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (raw(type="custom"), "multiply"),
        ({"custom": {"name": "shell"}}, "shell"),
        ({"function": {"name": " "}, "custom": {"name": "shell"}}, "shell"),
        ({"function": {"name": 7}}, None),
        ({"function": "multiply"}, None),
        ({}, None),
        ("multiply", None),
        (None, None),
    ],
)
def test_the_name_is_found_in_a_malformed_call_too(given: Any, name: str | None) -> None:
    assert written_calls.name_of(given) == name


@pytest.mark.parametrize("text", [None, "", " \n\t", "null", " null "])
def test_no_arguments_are_none_and_not_an_empty_object(text: Any) -> None:
    assert written_calls.arguments(text) is None
    assert written_calls.arguments("{}") == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": "line\nbreak\tand tab"}', {"a": "line\nbreak\tand tab"}),  # models write control characters raw
        ('\n {"a": 1} \n', {"a": 1}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"a": -0.0}', {"a": -0.0}),
        (f'{{"a": {LARGEST}, "b": {SMALLEST}}}', {"a": LARGEST, "b": SMALLEST}),
        ('{"a": 1e308}', {"a": 1e308}),
        (nested(MAX_LEVELS - 1), json.loads(nested(MAX_LEVELS - 1))),
    ],
)
def test_arguments_are_read_as_they_were_meant(text: str, found: Any) -> None:
    assert repr(written_calls.arguments(text)) == repr(found)


@pytest.mark.parametrize("given", [({}, "an object"), ({"a": 1}, "an object"), ([], "an array"), (1, "a number")])
def test_arguments_are_a_text(given: Any) -> None:
    value, kind = given
    assert why(value) == f"Write the arguments as a JSON object in a text, not as {kind}."


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[1]", "a list"),
        ('"a"', "a text"),
        ("1", "a number"),
        ("1.5", "a number"),
        ("true", "true"),
        ("false", "false"),
    ],
)
def test_and_in_it_an_object(text: str, kind: str) -> None:
    assert why(text) == f"The arguments were {kind}. Write them as a JSON object."


@pytest.mark.parametrize("text", ["{", "{'a': 1}", '{"a": 1}}', '{"a": }', "a=1", '{"a": 01}', '{"a": 1,}', "\ufeff{}"])
def test_what_is_no_json_is_told(text: str) -> None:
    assert why(text) == NO_JSON


@pytest.mark.parametrize("text", [nested(MAX_LEVELS + 1), nested(100_000), '{"a":' * 70 + "1" + "}" * 70])
def test_what_is_nested_too_deeply_is_told(text: str) -> None:
    assert why(text) == TOO_DEEP


@pytest.mark.parametrize("number", [str(LARGEST + 1), str(SMALLEST - 1), "9" * 5000, "-" + "9" * 5000])
@pytest.mark.parametrize("around", ["{}", "[0, {}]", '{{"b": [{}]}}'])
def test_an_integer_that_no_checkpoint_holds_is_told_wherever_it_stands(number: str, around: str) -> None:
    assert why(f'{{"a": {around.format(number)}}}') == BEYOND


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("NaN", "The arguments were not valid JSON: they contained NaN."),
        ("Infinity", "The arguments contained a number that is too large."),
        ("-Infinity", "The arguments contained a number that is too large."),
        ("1e999", "The arguments contained a number that is too large."),
    ],
)
def test_a_number_that_json_does_not_have_is_told(value: str, message: str) -> None:
    assert why(f'{{"a": [{value}]}}') == message


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), 1j])
def test_what_a_model_in_python_hands_over_has_to_be_json(value: Any) -> None:
    wrong = f"The arguments contained a {type(value).__name__}, which JSON does not support."
    assert written_calls.flaw({"a": [value]}) == wrong
    assert written_calls.flaw({"a": (1, [2.5, None, True, "x"])}) == ""


def test_a_value_that_holds_itself_has_an_end() -> None:
    value: dict[str, Any] = {}
    value["a"] = value
    assert written_calls.flaw(value) == TOO_DEEP
