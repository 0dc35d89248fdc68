"""Token counts in the answers of many endpoints."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.endpoints.reported_usage import is_over, read
from agents.usage.tokens import NOTHING, Tokens

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["usage", "prompt_tokens", "message"]), inner),
    max_leaves=10,
)


def document(**usage: Any) -> bytes:
    return json.dumps({"usage": usage}).encode()


def events(*documents: Any) -> bytes:
    return "".join(f"event: x\ndata: {json.dumps(one)}\n\n" for one in documents).encode()


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (document(prompt_tokens=9, completion_tokens=4), Tokens(9, None, 4, None)),
        (  # OpenAI
            document(
                prompt_tokens=9,
                completion_tokens=4,
                total_tokens=13,
                prompt_tokens_details={"cached_tokens": 2},
                completion_tokens_details={"reasoning_tokens": 1},
            ),
            Tokens(9, 2, 4, 1),
        ),
        (  # OpenAI's Responses API
            document(input_tokens=9, input_tokens_details={"cached_tokens": 2}, output_tokens=4),
            Tokens(9, 2, 4, None),
        ),
        (document(prompt_tokens=9, completion_tokens=4, prompt_cache_hit_tokens=8), Tokens(9, 8, 4, None)),  # DeepSeek
        (  # xAI counts reasoning beside the output
            document(
                prompt_tokens=9,
                completion_tokens=4,
                total_tokens=18,
                completion_tokens_details={"reasoning_tokens": 5},
            ),
            Tokens(9, None, 9, 5),
        ),
        (  # Google
            b'{"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 2,'
            b' "totalTokenCount": 15, "cachedContentTokenCount": 3}}',
            Tokens(9, 3, 6, 2),
        ),
        (  # Anthropic's stream: the first event has only begun to count the output
            events(
                {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
                {"type": "message_delta", "usage": {"output_tokens": 4}},
                {"type": "message_stop"},
            ),
            Tokens(9, None, 4, None),
        ),
        (
            events({"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}),
            Tokens(9, None, None, None),
        ),
        (events({"response": {"usage": {"input_tokens": 9, "output_tokens": 4}}}), Tokens(9, None, 4, None)),
        (b'{"message": {}}\n{"done": true, "prompt_eval_count": 9, "eval_count": 4}\n', Tokens(9, None, 4, None)),
        (b"", NOTHING),
        (b"<html>busy</html>", NOTHING),
        (b'{"usage": [1, 2], "message": "usage"}', NOTHING),
        (b'data: {"usage": {"prompt_tokens"', NOTHING),
        (document(prompt_tokens=9, completion_tokens=4, prompt_tokens_details="none"), Tokens(9, None, 4, None)),
        (b'{"usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}", NOTHING),
    ],
)
def test_counts_are_read(body: bytes, tokens: Tokens) -> None:
    assert read(body) == tokens


@pytest.mark.parametrize(("cached", "reasoning"), [(10, 5), (-1, True), ("2", 1.0)])
def test_a_part_that_is_more_than_the_whole_is_not_known(cached: Any, reasoning: Any) -> None:
    details = {
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    assert read(document(prompt_tokens=9, completion_tokens=4, **details)) == Tokens(9, None, 4, None)


@given(JSON)
def test_no_document_is_a_failure(value: Any) -> None:
    for body in (json.dumps(value).encode(), events(value)):
        found = read(body)
        assert all(one is None or one >= 0 for one in (found.input, found.cached, found.output, found.reasoning))


@given(st.binary())
def test_no_bytes_are_a_failure(body: bytes) -> None:
    assert isinstance(read(body), Tokens)


def test_a_stream_is_over_with_its_last_event() -> None:
    assert is_over(b"data: {}\n\ndata: [DONE]\n\n")
    assert not is_over(b'data: {"choices": []}\n\n')
