"""What a tool returned, as the ledger keeps it and as the model gets it back: whatever it was, it has happened."""

import json
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langgraph.types import Command, Send
from typing_extensions import override

from agents.runtime.gate import tool_results
from core.text import REPLACEMENT


class Silent:
    """Has no text of its own."""

    @override
    def __str__(self) -> str:
        raise RuntimeError("no")


class Named:
    @override
    def __str__(self) -> str:
        return "a room at the Ritz"


def message(content: Any, **more: Any) -> ToolMessage:
    return ToolMessage(content, tool_call_id="c1", name="book", **more)


def kept(result: Any, note: str = "") -> Any:
    """The result, through the ledger and back."""
    return tool_results.loaded(tool_results.dumped(result), "book", "c1", note)


@pytest.mark.parametrize("status", ["success", "error"])
@pytest.mark.parametrize("content", ["booked", "", [{"type": "text", "text": "booked"}], ["booked", "paid"]])
def test_a_message_comes_back_as_it_was(content: Any, status: Any) -> None:
    found = kept(message(content, status=status))
    assert (found.content, found.status, found.name, found.tool_call_id) == (content, status, "book", "c1")
    assert tool_results.is_error(found) is (status == "error")


@pytest.mark.parametrize("value", [None, 0, 1.5, True, "x", [1, [2]], {"a": None}, [], {}])
def test_a_bare_value_comes_back_as_it_was(value: Any) -> None:
    assert kept(value) == value
    assert not tool_results.is_error(kept(value))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ((1, 2), [1, 2]),
        (float("nan"), "nan"),
        (2**70, str(2**70)),
        ("a\x00b", f"a{REPLACEMENT}b"),
        ("a\ud800b", "a?b"),
        ({1: "a"}, {"1": "a"}),
        (Named(), "a room at the Ritz"),
        ([Named()], ["a room at the Ritz"]),
        (Silent(), "[a Silent that can't be shown]"),
        ({"a": [Silent()]}, {"a": ["[a Silent that can't be shown]"]}),
        (b"\xff", "b'\\xff'"),
    ],
)
def test_what_is_no_json_is_kept_as_what_it_says(value: Any, found: Any) -> None:
    assert kept(value) == found


def test_a_value_that_holds_itself_is_kept_in_part() -> None:
    value: list[Any] = ["x"]
    value.append(value)
    assert kept(value)[0] == "x"


def test_keys_that_json_does_not_have_make_it_a_text() -> None:
    assert kept({(1, 2): "a"}) == "{(1, 2): 'a'}"


@pytest.mark.parametrize("content", ["ö" * 100, ["ö" * 100], {"a": "ö" * 100}])
def test_what_is_too_long_is_cut_to_bytes_and_says_so(content: Any, settings: Any) -> None:
    settings.TOOL_RESULT_LIMIT = 51
    found = kept(content)
    assert found.endswith(tool_results.CUT)
    assert 49 <= len(found.removesuffix(tool_results.CUT).encode()) <= 51
    assert REPLACEMENT not in found


@pytest.mark.parametrize(("length", "is_cut"), [(50, False), (51, True)])
def test_what_just_fits_is_whole(length: int, is_cut: bool, settings: Any) -> None:
    settings.TOOL_RESULT_LIMIT = 50
    assert kept(message("x" * length)).content.endswith(tool_results.CUT) is is_cut


def test_a_note_stands_before_the_text() -> None:
    assert kept(message("booked"), "Edited.").content == "Edited.\nbooked"
    block = {"type": "text", "text": "booked"}
    assert kept(message([block]), "Edited.").content == [{"type": "text", "text": "Edited."}, block]


@pytest.mark.parametrize("value", ["booked", {"a": 1}, None])
def test_a_bare_value_has_no_room_for_a_note(value: Any) -> None:
    assert kept(value, "Edited.") == value


def test_a_command_comes_back_as_one() -> None:
    given: Command[Any] = Command(update={"messages": [message("moved")], "n": 1}, goto=Send("other", {"a": 1}))
    found = kept(given, "Edited.")
    assert (found.goto, found.update["n"], found.update["messages"][0].content) == (given.goto, 1, "moved")
    assert not tool_results.is_error(found)


def test_a_command_that_can_not_be_kept_leaves_its_text(caplog: pytest.LogCaptureFixture) -> None:
    found = kept(Command(update={"lock": Silent.__init__, "n": iter(())}))
    assert isinstance(found, ToolMessage)
    assert "tuple_iterator object" in str(found.content)
    assert "a tool's command can't be kept" in caplog.text


def test_several_results_come_back_in_their_order() -> None:
    given = [message("one"), Command(update={"n": 2}), message("three", status="error")]
    one, two, three = kept(given)
    assert (one.content, two.update, three.content, three.status) == ("one", {"n": 2}, "three", "error")
    assert json.loads(tool_results.dumped(given))["content"] == "3 results"


@pytest.mark.parametrize("given", [[], ["one"], [message("one"), "two"], [HumanMessage("hello")]])
def test_a_list_of_other_things_is_a_bare_value(given: list[Any]) -> None:
    assert json.loads(tool_results.dumped(given))["bare"] is True


@pytest.mark.parametrize(
    ("result", "is_one"),
    [
        (message("Error invoking tool 'book' with kwargs {}", status="error"), True),
        (message("Error invoking tool 'book' with kwargs {}"), False),
        (message("The hotel is full.", status="error"), False),
        ("Error invoking tool", False),
        (Command(update={}), False),
    ],
)
def test_an_error_of_the_tools_own_body_is_known(result: Any, is_one: bool) -> None:
    assert tool_results.is_body_error(result) is is_one
