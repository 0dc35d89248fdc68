"""How an answer ended, in the words of each provider, and what is made of messages that others' packages give."""

import math
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from agents.runtime.middleware.answers import (
    BROKEN_CALLS,
    CUT_OFF,
    NO_WORDS,
    ORDER,
    ending,
    problem_of,
    reliable,
    told,
    worded,
)

CALL = {"name": "multiply", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
INVALID = {"name": "multiply", "args": "{", "id": "c0", "error": "no", "type": "invalid_tool_call"}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        *((word, "length") for word in ("length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens")),
        ("FinishReason.MAX_TOKENS", "length"),
        ("model_context_window_exceeded", "length"),
        *((word, "content_filter") for word in ("content_filter", "SAFETY", "RECITATION", "content-filtered")),
        *((word, "content_filter") for word in ("guardrail_intervened", "sensitive", "refusal", "ERROR_TOXIC", "SPII")),
        *((word, "broken_off") for word in ("error", "abort", "cancelled", "MALFORMED_FUNCTION_CALL", "OTHER")),
        *((word, "broken_off") for word in ("insufficient_system_resource", "network_error", "timeout")),
        *((word, "") for word in ("stop", "tool_calls", "function_call", "end_turn", "tool_use", "stop_sequence")),
        *((word, "") for word in ("COMPLETE", "STOP", "eos", "pause_turn", "another word", "", None, 0)),
    ],
)
def test_how_an_answer_ended(word: Any, kind: str) -> None:
    assert ending(word) == kind


@pytest.mark.parametrize(
    "metadata",
    [
        {"finish_reason": "length"},
        {"stop_reason": "max_tokens"},  # langchain-anthropic
        {"done_reason": "length"},  # langchain-ollama
        {"stopReason": "max_tokens"},  # langchain-aws
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},  # OpenAI's Responses API
    ],
)
def test_a_cut_off_answer_of_any_provider_has_no_call_that_can_run(metadata: dict[str, Any]) -> None:
    message: Any = reliable(AIMessage("", tool_calls=[CALL], response_metadata=metadata), {"multiply"})
    assert message.tool_calls[0]["args"] == {}
    assert "cut off" in message.additional_kwargs[BROKEN_CALLS]["c1"]
    assert message.additional_kwargs[CUT_OFF] == "length"


def test_a_refusal_without_a_reason_is_said_to_be_one() -> None:
    problem = problem_of(AIMessage([], response_metadata={"stop_reason": "refusal"}))
    assert problem is not None
    assert "refused to answer" in problem.text


@pytest.mark.parametrize(
    "content",
    [
        "x",
        "<think>hm</think>42",
        "hm</think>42",
        [{"type": "text", "text": "x"}],
        [{"type": "image_url", "image_url": {"url": "x"}}],
    ],
)
def test_these_are_words(content: Any) -> None:
    assert problem_of(AIMessage(content)) is None


@pytest.mark.parametrize("args", [{"a": math.nan}, {"a": 2**64}, {"a": -(2**63) - 1}, {"a": {2**70: 1}}, {"a": {1, 2}}])
def test_arguments_that_cannot_be_stored_are_no_arguments(args: Any) -> None:
    message: Any = reliable(AIMessage("", tool_calls=[{**CALL, "args": args}]), {"multiply"})
    assert message.tool_calls[0]["args"] == {}
    assert message.additional_kwargs[BROKEN_CALLS]["c1"]


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63)])
def test_the_largest_integers_are_kept(number: int) -> None:
    message: Any = reliable(AIMessage("", tool_calls=[{**CALL, "args": {"a": number}}]), {"multiply"})
    assert message.tool_calls[0]["args"] == {"a": number}


@pytest.mark.parametrize("text", ["I think.</think>\n", "<thinking>a</thinking> <think>b</think>", "<THINK>a"])
def test_these_are_none(text: str) -> None:
    problem = problem_of(AIMessage(text))
    assert problem is not None
    assert "only reasoned" in problem.text


def test_what_is_sent_has_no_message_without_words() -> None:
    thinking = AIMessage([{"type": "thinking", "thinking": "hm"}])
    sent = worded([HumanMessage("hi"), AIMessage(" "), thinking, AIMessage("", tool_calls=[CALL])])
    assert [message.content for message in sent] == ["hi", NO_WORDS, NO_WORDS, ""]


def test_an_invalid_call_keeps_its_place_and_has_an_error() -> None:
    asked = AIMessage("", tool_calls=[CALL], invalid_tool_calls=[INVALID], additional_kwargs={ORDER: ["c0", "c1"]})
    message, error, result = told([asked, ToolMessage("1", tool_call_id="c1")])
    assert [call["id"] for call in message.tool_calls] == ["c0", "c1"]
    assert (error.tool_call_id, error.content, result.content) == ("c0", "no", "1")
