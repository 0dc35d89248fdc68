"""Joined chunks: however an answer is cut into pieces, it is read as if it had never been cut."""

import copy
import json
import re
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.runtime.endpoints import event_stream, responses
from agents.runtime.endpoints.chunks import Joined, said
from demo.model_server import oddities
from tests.support.endpoint import completion
from tests.support.streams import DONE

TAKES_NOTHING = {"multiply"}
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("multiply", {"a": 6, "b": 7}),
    ("multiply", {"a": 2, "b": {"deep": ["ü", "🙂", "}{"]}}),
]
ODD = [name for name in oddities.ODDITIES if name != "args-deeper"]  # a text of half a million characters, cut anywhere
SCRIPT = st.data()


def odd_answers() -> st.SearchStrategy[dict[str, Any]]:
    """The odd answers of the rule model, of both kinds."""
    whole = st.sampled_from([completion("The answer is Grüße 🙂\n\n42."), completion("I would like to:", *ASKED)])
    return st.builds(lambda name, body: oddities.changed(name, copy.deepcopy(body)) or {}, st.sampled_from(ODD), whole)


def calls() -> st.SearchStrategy[dict[str, Any]]:
    function = st.fixed_dictionaries(
        {"name": st.sampled_from(["multiply", "look", "7"]), "arguments": st.text(max_size=30)},
        optional={"signature": st.text(min_size=1, max_size=5)},
    )
    ids = st.sampled_from(["a", "a", "b", "", None, 7])
    extra = st.fixed_dictionaries({"google": st.fixed_dictionaries({"thought_signature": st.text(min_size=1)})})
    return st.fixed_dictionaries({"id": ids, "function": function}, optional={"extra_content": extra})


def any_answers() -> st.SearchStrategy[dict[str, Any]]:
    """Answers of any words, reasoning and calls."""
    texts = st.text(max_size=40)
    message = st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": texts},
        optional={
            "reasoning_content": texts,
            "refusal": texts,
            "reasoning_details": st.just([oddities.DETAIL]),
            "tool_calls": st.lists(calls(), min_size=1, max_size=4),
        },
    )
    reasons = st.sampled_from(["stop", "tool_calls", "length", "odd", None])
    return st.builds(
        lambda message, reason: {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": reason}]},
        message,
        reasons,
    )


def cut(data: st.DataObject, text: Any) -> list[Any]:
    """The text or bytes in pieces of any size."""
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    return [text[start:end] for start, end in pairwise([0, *places, len(text)])]


def merged(data: st.DataObject, *parts: list[Any]) -> list[Any]:
    """The elements of these lists in any order that keeps that of each list."""
    left = [list(part) for part in parts if part]
    found = []
    while left:
        one = data.draw(st.integers(0, len(left) - 1))
        found.append(left[one].pop(0))
        left = [part for part in left if part]
    return found


def pieces_of_call(data: st.DataObject, index: int, call: Any) -> list[Any]:
    function = call.get("function") if isinstance(call, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(arguments, str):
        return [{**call, "index": index} if isinstance(call, dict) else call]
    first, *rest = cut(data, arguments)
    found = [{**call, "index": index, "function": {**function, "arguments": first}}]
    repeated = {"id": call.get("id")} if data.draw(st.booleans()) else {}
    return [*found, *({"index": index, **repeated, "function": {"arguments": piece}} for piece in rest)]


def deltas_of(data: st.DataObject, message: dict[str, Any]) -> list[dict[str, Any]]:
    """The message in deltas."""
    fields = []
    for key, value in message.items():
        if key == "tool_calls" and isinstance(value, list):
            by_call = [pieces_of_call(data, index, call) for index, call in enumerate(value)]
            numbered = all(isinstance(call, dict) for call in value)
            pieces = merged(data, *by_call) if numbered else [piece for call in by_call for piece in call]
            fields.append([{key: [piece]} for piece in pieces])
        elif key in ("content", "reasoning_content", "refusal") and isinstance(value, str):
            fields.append([{key: piece} for piece in cut(data, value)])
        else:
            fields.append([{key: value}])
    return merged(data, *fields, [{}, {"role": "assistant"}, {"content": None}])


def stream_of(data: st.DataObject, body: dict[str, Any]) -> bytes:
    (choice,) = body["choices"]
    head = {key: value for key, value in body.items() if key not in ("choices", "usage")}
    told: list[Any] = [
        {**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas_of(data, choice["message"])
    ]
    told = [*told, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}]
    told = merged(data, told, [{**head, "choices": []}, {**head, "choices": None}])
    if "usage" in body:
        told.append({**head, "choices": [], "usage": body["usage"]})
    end = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    space = data.draw(st.sampled_from([b"", b" "]))
    noise = data.draw(st.sampled_from([b"", b": hello" + end * 2, b"event: x" + end, b"data:" + end * 2]))
    events = [noise + b"data:" + space + oddities.encoded(one) + end * 2 for one in told]
    return b"".join(events) + DONE.encode()


def joined(data: st.DataObject, stream: bytes) -> tuple[dict[str, Any], str]:
    """The body that the stream makes, and the text that was told."""
    found, text = Joined(), ""
    for event in event_stream.events(event_stream.lines(cut(data, stream))):
        if isinstance(chunk := responses.decoded(event.data), dict):
            text += said(found.add(chunk))[0]
    return found.body(), text


def reading(body: dict[str, Any]) -> str:
    """All that is read of an answer, but for the ids that we make up."""
    (choice,) = body["choices"]
    found = responses.read(choice["message"], choice["finish_reason"], "origin", TAKES_NOTHING)
    record = json.loads(found.record["fields"]) if found.record else {"calls": {}}
    record["calls"] = [record["calls"].get(one) for one in found.order]
    parts = [found.plain, found.calls, found.invalid, found.order, found.refusal, record, responses.envelope(body)]
    return re.sub(r"call_[0-9a-f]{32}", "call", json.dumps(parts, sort_keys=True))


@settings(max_examples=100, deadline=None)
@given(body=st.one_of(odd_answers(), any_answers()), data=SCRIPT)
def test_an_answer_that_was_cut_anywhere_is_read_as_a_whole_one(body: dict[str, Any], data: st.DataObject) -> None:
    whole = responses.decoded(oddities.encoded(body))
    found, text = joined(data, stream_of(data, body))
    assert reading(found) == reading(whole)
    content = whole["choices"][0]["message"]["content"]
    assert text == content or not isinstance(content, str)


KEYS = ["delta", "message", "index", "content", "tool_calls", "function", "arguments", "name", "id", "type", "text"]
ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=30,
)


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.dictionaries(st.sampled_from(KEYS), ANYTHING), min_size=1))
def test_no_part_is_too_odd_to_be_joined(parts: list[dict[str, Any]]) -> None:
    found = Joined()
    for part in parts:
        said(found.add({"choices": [part, {"index": 0, "delta": part}, {"delta": {"tool_calls": [part, part]}}]}))
    choices = found.body()["choices"]
    assert len(choices) > 1
    for choice in choices:
        if "message" in choice:  # else the whole answer is refused
            assert reading({"choices": [choice]})
