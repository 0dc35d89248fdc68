"""Tools whose schemas are of other drafts work; one that can't be read is left out and named, and fails no task."""

import logging
from typing import Any

import pytest
from langchain_core.tools import StructuredTool

from agents import checks
from agents.runtime import registry
from agents.runtime.tool_schemas import readable
from agents.worker import jobs
from reviews.argument_form.fields import Json, Lines, Number
from reviews.argument_form.form import ArgumentsForm, Group
from tests.support.endpoint import Endpoint, completion, says
from tests.support.helpers import again, answer_of, messages_of, open_review, resume
from tests.support.oracle import calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("server_tools")]

UNREADABLE = {
    "remote": "https://example.com/schema.json",
    "dangling": "#/$defs/Nowhere",
    "unknown_type": "strnig",
    "broken_pattern": "(",
    "endless": "back to itself",
    "listed": "properties",
    "scalar": "string",
    "with_function": "JsonSchema",
    "pydantic_1": "Pydantic 1",
}


@pytest.fixture
def server_tools(settings: Any, oracle: None) -> None:
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.schema_tools"]}}
    registry.agent.cache_clear()
    registry.graph.cache_clear()


def test_a_tool_that_can_not_be_read_is_left_out_with_a_log_line(caplog: Any) -> None:
    with caplog.at_level(logging.ERROR):
        found = registry.agent("default")
    assert found.left_out.keys() == UNREADABLE.keys()
    assert not {tool.name for tool in found.tools} & UNREADABLE.keys()
    for name, why in UNREADABLE.items():
        assert why in found.left_out[name]
        assert any(f"tool {name} is left out" in record.getMessage() for record in caplog.records)


def test_it_is_named_at_check() -> None:
    found = {str(one.id): one for one in checks.agents()}
    assert set(found) == {"agents.W002"}
    texts = [str(one.msg) for one in checks.agents()]
    assert all(any(f"the tool {name}," in text for text in texts) for name in UNREADABLE)


def test_it_is_named_when_a_worker_starts(caplog: Any) -> None:
    with caplog.at_level(logging.ERROR):
        jobs._prepare()
    assert "tool dangling is left out" in caplog.text


def test_it_fails_nobodys_task(invoke: Any, work: Any) -> None:
    task = invoke("multiply 6 by 7")
    work()
    assert "42" in answer_of(task)


def test_the_model_is_offered_the_current_form(settings: Any, invoke: Any, work: Any) -> None:
    with Endpoint(says(completion("Hello."))) as server:
        settings.OPENAI_BASE_URL = f"{server.url}/v1"
        answer_of(_worked(invoke("hello"), work))
    offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in server.requests[0]["tools"]}
    assert offered["draft_04"]["properties"]["n"] == {"type": "number", "exclusiveMinimum": 0}
    assert offered["plain_types"]["properties"]["names"] == {"type": "array", "items": {"type": "string"}}
    assert offered["letters"]["properties"]["name"]["pattern"] == r"^\p{L}+$"
    assert not offered.keys() & UNREADABLE.keys()


def _worked(task: Any, work: Any) -> Any:
    work()
    return task


FITTING = [
    ("draft_04", '{"n": 0.5}', {"n": 1}, {"n": 0}),
    ("letters", '{"name": "Żółć"}', {"name": "李雷"}, {"name": "a1"}),
    ("plain_types", '{"n": 1, "names": ["a"]}', {"n": 2, "names": []}, {"n": "two", "names": []}),
    ("draft_03", '{"n": null, "m": 4}', {"n": 1, "m": 6}, {"m": 4}),
    ("tuples", '{"pair": [1]}', {"pair": [2]}, {"pair": [1, 2]}),
    ("openapi", '{"text": null}', {"text": "a"}, {"text": 1}),
    ("greet", '{"name": "Żółć"}', {"name": "Élan"}, {"name": "élan"}),
]


@pytest.mark.parametrize(("tool", "asked", "fits", "fits_not"), FITTING)
def test_schemas_of_other_drafts_are_read(
    invoke: Any, work: Any, api: Any, tool: str, asked: str, fits: Any, fits_not: Any
) -> None:
    task = _worked(invoke(f"call {tool} with {asked}"), work)
    response = resume(api, task, "edit", args=fits_not)
    assert response.status_code == 400, response.content
    assert response.json()["errors"]
    assert resume(api, task, "edit", args=fits).status_code == 202
    work()
    answer_of(task)
    assert len(calls()) == 1


@pytest.mark.parametrize(("tool", "asked", "fits", "fits_not"), FITTING)
def test_a_call_that_does_not_fit_them_is_the_models_error(
    invoke: Any, work: Any, tool: str, asked: str, fits: Any, fits_not: Any
) -> None:
    written = str(fits_not).replace("'", '"')
    task = _worked(invoke(f"call {tool} with {written}"), work)
    said = next(message["content"] for message in messages_of(task) if message["type"] == "tool")
    assert f"do not fit {tool}" in said
    assert calls() == []


def test_a_tool_left_out_that_is_asked_for_all_the_same_is_the_models_error(
    settings: Any, invoke: Any, work: Any
) -> None:
    with Endpoint(says(completion(None, ("dangling", {"n": 1}))), says(completion("Well."))) as server:
        settings.OPENAI_BASE_URL = f"{server.url}/v1"
        task = _worked(invoke("hello"), work)
    assert answer_of(task) == "Well."
    assert again(task).status == "completed"


def test_a_pattern_that_only_pydantic_reads_can_be_approved_but_not_edited(invoke: Any, work: Any, api: Any) -> None:
    task = _worked(invoke('call rust with {"name": "aaa"}'), work)
    response = resume(api, task, "edit", args={"name": "a"})
    assert response.status_code == 400
    assert "can't be read" in response.json()["errors"]["args"][0]
    resume(api, task)
    work()
    assert calls() == ["greet aaa"]


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": ["object", "null"]}, {"properties": None}])
def test_a_schema_that_says_little_is_one_of_an_object(schema: Any) -> None:
    found = readable(StructuredTool(name="t", description="d", args_schema=schema, func=lambda **_: ""))
    assert found.args_schema == {"type": "object", "properties": {}, "additionalProperties": True}
    root = ArgumentsForm(found.args_schema, {}).root
    assert isinstance(root, Json)  # anything can be given


def test_the_reviewers_form_has_fields_for_them(invoke: Any, work: Any) -> None:
    review = open_review(_worked(invoke('call plain_types with {"n": 1, "names": ["a"]}'), work))
    assert review.args_schema["properties"]["n"] == {"type": "integer"}
    written = {
        "type": "object",
        "properties": {"n": {"type": "int"}, "names": {"type": "list", "items": {"type": "str"}}},
    }
    for schema in (review.args_schema, written):  # the second as reviews have it that were asked before
        root = ArgumentsForm(schema, review.args).root
        assert isinstance(root, Group)
        assert [type(part) for part in root.parts] == [Number, Lines]
