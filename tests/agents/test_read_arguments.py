"""Arguments of a call, as the tool's own schema reads them: what a person is shown, and what runs."""

from typing import Annotated, Any

import pytest
from langchain_core.tools import BaseTool, InjectedToolArg, InjectedToolCallId, StructuredTool, Tool
from langgraph.prebuilt import InjectedState
from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, ConfigDict, Field
from typing_extensions import override

from agents.runtime import tool_arguments
from agents.runtime.tool_arguments import ArgumentError, Arguments


class Incomparable:
    """Its author has not thought of comparing it with another."""

    @override
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


class Choices(BaseModel):
    amount: int = Field(validation_alias=AliasChoices(AliasPath("sums", 0), "sum", "total"))


class Path(BaseModel):
    amount: int = Field(validation_alias=AliasPath("sums", 0))


class Tags(BaseModel):
    tags: frozenset[str] = frozenset()
    groups: list[set[int]] = []


class Cents(BaseModel):
    amount: Annotated[int, AfterValidator(lambda value: value * 100)]


def tool(schema: Any) -> BaseTool:
    return StructuredTool.from_function(lambda **values: "done", name="act", description="Act.", args_schema=schema)


def hidden(text: str, state: Annotated[dict[str, Any], InjectedState], call: Annotated[str, InjectedToolCallId]) -> str:
    """Act."""
    return text


def bare(text: str, secret: Annotated[str, InjectedToolArg]) -> str:
    """Act."""
    return text


SERVERS = tool({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
ONE_TEXT = Tool("act", lambda text: text, "Act.")
HIDDEN = StructuredTool.from_function(hidden)


def wire(of: BaseTool, args: Any) -> dict[str, Any]:
    return tool_arguments.read("act", of, args).wire


def refused(of: BaseTool | None, args: Any) -> str:
    with pytest.raises(ArgumentError) as caught:
        tool_arguments.read("act", of, args)
    return str(caught.value)


def test_a_tool_that_is_not_there_is_named() -> None:
    assert refused(None, {}) == "There is no tool called 'act'."


@pytest.mark.parametrize("args", [{}, {"a": "1"}, {"a": None}, {"a": 1.5}])
def test_arguments_that_a_servers_schema_refuses_are_told(args: Any) -> None:
    assert refused(SERVERS, args).startswith("The arguments do not fit act: ")


@pytest.mark.parametrize("args", [{"a": 1}, {"a": 1, "more": [None]}])
def test_those_that_it_takes_run_as_they_were_written(args: Any) -> None:
    found = tool_arguments.read("act", SERVERS, args)
    assert found.wire == found.values == args
    assert found.is_plain()


def test_a_tool_of_one_text_has_a_schema_all_the_same() -> None:
    assert wire(ONE_TEXT, {"__arg1": "x"}) == {"__arg1": "x"}
    assert "__arg1" in refused(ONE_TEXT, {"text": "x"})
    assert tool_arguments.schema_of(ONE_TEXT)["required"] == ["__arg1"]


@pytest.mark.parametrize("args", [None, [], "a", 1])
def test_what_is_no_object_fits_no_schema(args: Any) -> None:
    assert refused(tool(Open), args).startswith("The arguments do not fit act: ")


def test_a_schema_that_takes_more_passes_it_on() -> None:
    assert wire(tool(Open), {"b": [1]}) == {"a": 1, "b": [1]}


@pytest.mark.parametrize("name", ["sum", "total"])
def test_of_several_names_the_first_that_is_one_is_shown(name: str) -> None:
    assert wire(tool(Choices), {name: 3}) == {"sum": 3}
    assert wire(tool(Choices), {"sums": [3]}) == {"sum": 3}


def test_a_way_into_a_list_is_no_name_so_that_such_a_call_can_not_be_edited() -> None:
    act = tool(Path)
    first = tool_arguments.read("act", act, {"sums": [3]})
    assert first.wire == {"amount": 3}
    assert not tool_arguments.require_reviewable("act", act, first)


def test_sets_are_shown_in_one_order_in_every_process() -> None:
    given = {"tags": ["b", "c", "a"], "groups": [[3, 1], [2]]}
    found = tool_arguments.read("act", tool(Tags), given)
    assert found.wire == {"tags": ["a", "b", "c"], "groups": [[1, 3], [2]]}
    assert found.values["tags"] == {"a", "b", "c"}
    assert not found.is_plain()


def test_a_model_can_not_fill_in_what_langgraph_does() -> None:
    assert wire(HIDDEN, {"text": "x", "state": {"rights": "all"}, "call": "c9"}) == {"text": "x"}
    assert tool_arguments.hidden_from_model(HIDDEN) == {"state", "call"}
    assert set(tool_arguments.schema_of(HIDDEN)["properties"]) == {"text"}


def test_what_only_a_caller_in_python_can_give_is_hidden_and_left_empty() -> None:
    act = StructuredTool.from_function(bare)
    assert tool_arguments.hidden_from_model(act) == {"secret"}
    assert tool_arguments.tool_node_fills(act) == frozenset()
    assert tool_arguments.tool_node_fills(HIDDEN) == {"state", "call"}


@pytest.mark.parametrize("name", ["config", "run_manager"])
def test_names_that_langchain_keeps_for_itself_are_known(name: str) -> None:
    servers = tool({"type": "object", "properties": {name: {"type": "string"}, "a": {}}})
    assert tool_arguments.kept_for_langchain(servers, {name: "x", "a": 1}) == [name]
    assert tool_arguments.kept_for_langchain(servers, {"a": 1}) == []
    assert tool_arguments.kept_for_langchain(servers, None) == []


@pytest.mark.parametrize(
    ("values", "is_plain"),
    [
        ({"a": [1, {"b": None}]}, True),
        ({"a": (1, 2)}, False),
        ({"a": {1: "x"}}, False),
        ({"a": {1, 2}}, False),
        ({"a": object()}, False),
    ],
)
def test_only_json_is_plain(values: dict[str, Any], is_plain: bool) -> None:
    assert Arguments(values, values).is_plain() is is_plain


@pytest.mark.parametrize(("shown", "runs"), [({"a": 1}, {"a": 1.0}), ({"a": 1}, {"a": True}), ({"a": "1"}, {"a": 1})])
def test_what_runs_otherwise_than_it_is_shown_is_not(shown: Any, runs: Any) -> None:
    assert not Arguments(shown, runs).is_plain()


def test_values_that_can_not_be_compared_are_not_the_same() -> None:
    one = Arguments({}, {"a": Incomparable()})
    assert not one.equals(Arguments({}, {"a": Incomparable()}))


def test_an_agreement_holds_for_the_values_that_were_read_first() -> None:
    """An amount in cents is multiplied once, not once more when it is read again."""
    act = tool(Cents)
    first = tool_arguments.read("act", act, {"amount": 5})
    assert first.wire == {"amount": 500}
    agreed = tool_arguments.agreed("act", act, {"amount": 5}, first.text)
    assert agreed is not None
    assert agreed.values == {"amount": 500}


def test_what_the_schema_reads_otherwise_by_now_is_agreed_to_by_nobody() -> None:
    assert tool_arguments.agreed("act", tool(Cents), None, '{"amount":500}') is None


def test_nor_what_it_takes_no_more() -> None:
    with pytest.raises(ArgumentError, match="do not fit act"):
        tool_arguments.agreed("act", SERVERS, {"a": 1}, '{"a":"x"}')


def test_an_edit_is_agreed_to_as_it_reads() -> None:
    found = tool_arguments.agreed("act", tool(Open), None, '{"a":2,"b":"x"}')
    assert found is not None
    assert found.values == {"a": 2, "b": "x"}
