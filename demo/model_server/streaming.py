"""Streamed form of a completion: the chunks that OpenAI's API sends, whatever the completion holds."""

import re
from collections.abc import Iterator
from typing import Any

Parts = dict[str, Any]

WORDS = re.compile(r"(?:\S+\s*){1,3}|\s+")  # text of one delta
PIECE = 12  # characters of arguments in one delta
PIECES = 40  # deltas of one text at most: the text of some oddities is very long
IN_PIECES = {"reasoning_content", "reasoning", "refusal"}
AFTER = {"role", "content", "tool_calls"}  # the other fields come before these


def chunks(completion: Parts, *, with_usage: bool) -> Iterator[Parts]:
    """Yield the completion as a stream of deltas: texts in a few words each, arguments in pieces."""
    head = {key: value for key, value in completion.items() if key not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    for choice in completion["choices"]:
        place = {"index": choice["index"], "logprobs": None}
        for delta in _deltas(choice["message"]):
            yield {**head, "choices": [{**place, "delta": delta, "finish_reason": None}]}
        yield {**head, "choices": [{**place, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    if with_usage:
        yield {**head, "choices": [], "usage": completion["usage"]}


def _deltas(message: Parts) -> Iterator[Parts]:
    content = message["content"]
    yield {"role": message["role"], "content": "" if isinstance(content, str) and content else content}
    for key, value in message.items():
        if key in IN_PIECES and isinstance(value, str):
            yield from ({key: piece} for piece in _pieces(value))
        elif key not in AFTER:
            yield {key: value}
    if isinstance(content, str):
        yield from ({"content": piece} for piece in _pieces(content))
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        yield from ({"tool_calls": calls} for _ in range(calls is not None))
        return
    for index, call in enumerate(calls):
        yield from ({"tool_calls": [piece]} for piece in _call(index, call))


def _call(index: int, call: Any) -> Iterator[Any]:
    """Yield the pieces of one call; one that is no call as it is."""
    function = call.get("function") if isinstance(call, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(arguments, str):
        yield {**call, "index": index} if isinstance(call, dict) else call
        return
    yield {**call, "index": index, "function": {**function, "arguments": ""}}
    size = max(PIECE, len(arguments) // PIECES)
    for start in range(0, len(arguments), size):
        yield {"index": index, "function": {"arguments": arguments[start : start + size]}}


def _pieces(text: str) -> list[str]:
    found: list[str] = WORDS.findall(text)
    together = max(1, len(found) // PIECES)
    return ["".join(found[start : start + together]) for start in range(0, len(found), together)]
