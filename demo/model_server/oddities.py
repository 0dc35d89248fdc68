"""Odd answers on request, for tests: a model whose name begins with "odd-" answers in a way that real endpoints do.

`odd-<name>` is one of `ODDITIES` or `AROUND`. With the suffix `-once` only the first answer to a conversation is odd,
and the same request again gets an ordinary one. The oddities in `CALLED` change the first call of each reply that has
any; those in `WORDS` change replies without calls.
"""

import json
from collections.abc import Callable
from typing import Any

Parts = dict[str, Any]
Change = Callable[[Parts, Parts], None]  # of the message and its choice, in place

DEEP = 900
ENDLESS = "9" * 5000  # digits, more than Python reads as a number
REFUSAL = "I can't help with that, it is against my rules."
THOUGHT = "The person wants me to act. I think about it."
DETAIL = {"type": "reasoning.text", "text": THOUGHT, "signature": "c2lnbmF0dXJl", "number": 2**80}


def changed(name: str, completion: Parts) -> Parts | None:
    """Return the odd answer of this name, made from an ordinary completion; None for an unknown name."""
    if name in AROUND:
        return {**completion, **AROUND[name]}
    change = ODDITIES.get(name)
    if change is None:
        return None
    choice = completion["choices"][0]
    about_calls = change in CALLS
    if about_calls == bool(choice["message"].get("tool_calls")) or change in BOTH:
        change(choice["message"], choice)
    return completion


def encoded(value: Parts) -> bytes:
    """Return the JSON text of an answer or of a part of it, with the numbers that Python does not write."""
    return json.dumps(value).replace('"<1e400>"', "1e400").replace('"<endless>"', ENDLESS).encode()


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def _says(content: Any, finish_reason: Any = "stop", **fields: Any) -> Change:
    def change(message: Parts, choice: Parts) -> None:
        message.update(content=content, **fields)
        choice["finish_reason"] = finish_reason

    return change


def _writes(arguments: Any) -> Change:
    """Return a change that sets the first call's arguments; a callable gets the ordinary ones, decoded."""

    def change(message: Parts, choice: Parts) -> None:
        function = message["tool_calls"][0]["function"]
        function["arguments"] = arguments(json.loads(function["arguments"])) if callable(arguments) else arguments

    return change


def _is(**fields: Any) -> Change:
    """Return a change that sets these fields of the first call; None removes a field."""

    def change(message: Parts, choice: Parts) -> None:
        call = {**message["tool_calls"][0], **fields}
        message["tool_calls"][0] = {key: value for key, value in call.items() if value is not None}

    return change


def _named(**name: Any) -> Change:
    def change(message: Parts, choice: Parts) -> None:
        function = message["tool_calls"][0]["function"]
        del function["name"]
        function.update(name)

    return change


def _first(value: Any) -> Change:
    def change(message: Parts, choice: Parts) -> None:
        message["tool_calls"][0] = value

    return change


def _cut(arguments: str | None, finish_reason: str) -> Change:
    """Return a change that cuts the answer off in its first call; None leaves the arguments whole."""

    def change(message: Parts, choice: Parts) -> None:
        choice["finish_reason"] = finish_reason
        if arguments is not None:
            message["tool_calls"][0]["function"]["arguments"] = arguments

    return change


def _half(finish_reason: Any) -> Change:
    def change(message: Parts, choice: Parts) -> None:
        message["content"] = (message["content"] or "")[:20]
        choice["finish_reason"] = finish_reason

    return change


def _old(message: Parts, choice: Parts) -> None:
    """Use the legacy form, `function_call` instead of `tool_calls`."""
    message.update(content=None, function_call={"name": "multiply", "arguments": '{"a": 6, "b": 7}'})
    choice["finish_reason"] = "function_call"


def _as_object(message: Parts, choice: Parts) -> None:
    """Put the first call in an object instead of a list."""
    message["tool_calls"] = {"first": message["tool_calls"][0]}


def _signed(message: Parts, choice: Parts) -> None:
    """Add the fields that reasoning models add and expect to get back."""
    message["reasoning_content"] = THOUGHT
    message["reasoning_details"] = [DETAIL]
    message["annotations"] = None
    for place, call in enumerate(message.get("tool_calls") or []):
        call["extra_content"] = {"google": {"thought_signature": f"c2ln{place}"}}
        call["function"]["signature"] = f"c2ln{place}"


def _signed_malformed(message: Parts, choice: Parts) -> None:
    _signed(message, choice)
    if message.get("tool_calls"):
        _writes("[]")(message, choice)


def _signed_blocks(message: Parts, choice: Parts) -> None:
    """Add reasoning as a block of the content, as Mistral's models do."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}
    message["content"] = [thought, {"type": "text", "text": message["content"]}]


def _deep(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


WORDS: dict[str, Change] = {
    "empty": _says(""),
    "null": _says(None),
    "blank": _says(" \n\t\u200b\ufeff"),
    "no-blocks": _says([]),
    "reasoning": _says("", reasoning_content=THOUGHT),
    "think": _says(f"<think>\n{THOUGHT}\n</think>\n\n"),
    "thinking-blocks": _says([{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": " "}]),
    "refusal": _says(None, refusal=REFUSAL),
    "refusal-block": _says([{"type": "refusal", "refusal": REFUSAL}]),
    "filter": _says("", "content_filter"),
    "safety": _says(None, "SAFETY"),
    "length": _says("", "length"),
    "length-thinking": _says("<think>" + THOUGHT, "max_tokens", reasoning_content=THOUGHT),
    "broken-off": _says("", "error"),
    "number": _says(42),
    "finish": _half({"a": _nested(DEEP), "b": 2**80}),
    "half": _half("length"),
    "half-max-tokens": _half("MAX_TOKENS"),
    "half-filter": _half("content_filter"),
    "half-other": _half("abort"),
}
CALLED: dict[str, Change] = {
    "args-text": _writes('"all of it"'),
    "args-list": _writes("[6, 7]"),
    "args-no-list": _writes("[]"),
    "args-number": _writes("7"),
    "args-zero": _writes("0"),
    "args-true": _writes("true"),
    "args-false": _writes("false"),
    "args-null": _writes("null"),
    "args-none": _writes(None),
    "args-missing": _is(function={"name": "multiply"}),
    "args-empty": _writes(""),
    "args-blank": _writes("  "),
    "args-object": _writes(dict),
    "args-array": _writes([1]),
    "args-int": _writes(6),
    "args-broken": _writes('{"a": 6, "b": '),
    "args-twice": _writes('{"a": 6}{"a": 7}'),
    "args-nan": _writes('{"a": NaN, "b": 7}'),
    "args-big": _writes(json.dumps({"a": 2**70, "b": 7})),
    "args-negative": _writes(json.dumps({"a": -(2**70), "b": 7})),
    "args-infinite": _writes('{"a": 1e400, "b": 7}'),
    "args-endless": _writes(f'{{"a": {ENDLESS}, "b": 7}}'),
    "args-object-big": _writes({"a": 2**70, "b": 7}),
    "args-object-infinite": _writes({"a": "<1e400>", "b": 7}),
    "args-object-endless": _writes({"a": "<endless>", "b": 7}),
    "args-deep": _writes(_deep(DEEP)),
    "args-deeper": _writes(_deep(100_000)),
    "args-object-deep": _writes(lambda _: _nested(DEEP)),
    "id-number": _is(id=7),
    "id-object": _is(id={"a": 1}),
    "type-custom": _is(type="custom", function=None, custom={"name": "multiply", "input": "6 by 7"}),
    "type-number": _is(type=7),
    "type-object": _is(type={"a": _nested(DEEP)}),
    "no-function": _is(function=None),
    "function-text": _is(function="multiply(6, 7)"),
    "name-missing": _named(),
    "name-empty": _named(name=""),
    "name-null": _named(name=None),
    "name-number": _named(name=7),
    "name-sentence": _named(name="the multiply tool, please!"),
    "call-text": _first("multiply(6, 7)"),
    "call-null": _first(None),
    "calls-object": _as_object,
    "cut-empty": _cut("", "length"),
    "cut-brace": _cut('{"what": "', "length"),
    "cut-whole": _cut(None, "length"),
    "cut-filter": _cut("", "content_filter"),
    "cut-max-tokens": _cut("{}", "MAX_TOKENS"),
    "cut-other": _cut("{}", "abort"),
}
EITHER: dict[str, Change] = {
    "function-call": _old,
    "signed": _signed,
    "signed-malformed": _signed_malformed,
    "signed-blocks": _signed_blocks,
}
AROUND: dict[str, Parts] = {  # fields around the message
    "usage": {"usage": {"prompt_tokens": 2**80, "completion_tokens": "many", "total_tokens": None}},
    "usage-list": {"usage": [1, 2]},
    "tier": {"service_tier": {"name": "priority"}, "model": 7, "id": 2**80, "system_fingerprint": {"a": 2**80}},
}
ODDITIES: dict[str, Change] = {**WORDS, **CALLED, **EITHER}
CALLS = frozenset(CALLED.values())
BOTH = frozenset(EITHER.values())
