"""Reader for an endpoint's responses: an irregular part does not make the rest unreadable."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.messages.tool import InvalidToolCall, ToolCall

from agents.runtime.endpoints import returned_fields
from agents.runtime.endpoints.written_calls import NOTHING, Malformed, call, integer, name_of
from agents.runtime.middleware.answers import ORDER, ending, not_run, own_id
from core.text import DEEPEST, LARGEST, TOO_DEEP, shortened, storable

MAX_WRITTEN = 2000  # characters of a malformed call that are kept
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)


@dataclass
class Reading:
    """The parts of an endpoint's message."""

    plain: dict[str, Any]  # without calls, in a form that langchain-openai accepts
    calls: list[ToolCall] = field(default_factory=list)
    invalid: list[InvalidToolCall] = field(default_factory=list)
    order: list[str] = field(default_factory=list)  # the ids of all calls, as they were written
    refusal: str | None = None
    record: returned_fields.Record | None = None

    def complete(self, message: AIMessage) -> None:
        """Add to langchain-openai's message the parts that were withheld from it."""
        message.tool_calls, message.invalid_tool_calls = self.calls, self.invalid
        if self.invalid:  # signatures depend on the order
            message.additional_kwargs[ORDER] = self.order
        if self.refusal:
            message.additional_kwargs["refusal"] = self.refusal
        if self.record:
            message.additional_kwargs[returned_fields.RETURNED] = self.record


def decoded(body: bytes) -> Any:
    """Return the JSON value in a response's body, also if a number is very long or the nesting very deep.

    Returns None if the body is not JSON.
    """
    try:
        text = body.decode("utf-8-sig")
        try:
            return json.loads(text, parse_int=integer)
        except RecursionError:
            return json.loads(_shallow(text), parse_int=integer)
    except ValueError:
        return None


def envelope(body: dict[str, Any]) -> dict[str, Any]:
    """Return the response's own fields that have the types that langchain-openai expects."""
    texts = {key: body[key] for key in ("id", "model", "system_fingerprint", "service_tier") if _is_text(body.get(key))}
    usage = body.get("usage")
    counted = _counts(usage) if isinstance(usage, dict) else {}
    return {**texts, "usage": counted or None}


def read(message: dict[str, Any], finish_reason: Any, origin: str, taking_nothing: set[str]) -> Reading:
    """Split a message of the endpoint into its parts.

    Args:
        origin: identifies the endpoint and the model.
        taking_nothing: the tools that take no arguments.
    """
    found = Reading({"role": "assistant", "content": _content(message.get("content"))})
    if isinstance(name := message.get("name"), str):
        found.plain["name"] = name
    if isinstance(audio := message.get("audio"), dict):
        found.plain["audio"] = storable(audio)
    if old := message.get("function_call"):
        found.plain["function_call"] = storable(old) if isinstance(old, dict) else {"name": json.dumps(storable(old))}
    if isinstance(refusal := message.get("refusal"), str):
        found.refusal = refusal
    raw = message.get("tool_calls") or []
    if not isinstance(raw, list):
        found.invalid.append(_invalid(raw, own_id(None, set()), "The calls were not a list."))
        raw = []
    cut = ending(finish_reason)
    seen: set[str] = set()
    kept = []
    for one in raw:
        given = one.get("id") if isinstance(one, dict) else None
        own = own_id(given if isinstance(given, str) else None, seen)
        found.order.append(own)
        kept.append((own, one if isinstance(one, dict) else None))
        try:
            _add(found, one, own, not_run(cut) if cut else "", taking_nothing)
        except Malformed as error:
            found.invalid.append(_invalid(one, own, str(error)))
    found.record = returned_fields.record(origin, message, kept)
    return found


def _add(found: Reading, raw: Any, own: str, refused: str, taking_nothing: set[str]) -> None:
    if refused:
        raise Malformed(refused)
    name, args, _ = call(raw)
    if args is None and name not in taking_nothing:
        raise Malformed(NOTHING)
    found.calls.append(ToolCall(name=name, args=args or {}, id=own, type="tool_call"))


def _invalid(raw: Any, own: str, reason: str) -> InvalidToolCall:
    written = shortened(str(storable(_text(raw))), MAX_WRITTEN)
    return InvalidToolCall(type="invalid_tool_call", id=own, name=name_of(raw), args=written, error=reason)


def _text(raw: Any) -> str:
    function = raw.get("function") if isinstance(raw, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else raw
    return arguments if isinstance(arguments, str) else json.dumps(storable(arguments))


def _content(content: Any) -> Any:
    """Return the content in a form that a message may hold: a text, or a list of texts and objects."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return json.dumps(storable(content))
    return [storable(one) if isinstance(one, str | dict) else json.dumps(storable(one)) for one in content]


def _counts(usage: dict[str, Any]) -> dict[str, Any]:
    """Return the whole numbers in a usage report, including one level of details."""
    counts: dict[str, Any] = {}
    for key, value in usage.items():
        if isinstance(value, dict) and key.endswith("_details"):
            counts[key] = {name: number for name, number in value.items() if _is_count(number)}
        elif _is_count(value):
            counts[key] = value
    return counts


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST >> 11


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _shallow(text: str) -> str:
    """Return the JSON text with a mark in place of values that are nested too deeply for Python's parser."""
    pieces, depth, kept = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == DEEPEST + 1:
                pieces.append(f"{text[kept : token.start()]}{json.dumps(TOO_DEEP)}")
        elif token[0] in "]}":
            if depth == DEEPEST + 1:
                kept = token.end()
            depth -= 1
    return "".join(pieces) + (text[kept:] if depth <= DEEPEST else "")
