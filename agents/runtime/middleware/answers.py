"""Checks and repairs of a model's answer: cut off, without words, refused, or with calls that can't run."""

import re
import unicodedata
import uuid
from collections.abc import Container, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, InvalidToolCall, ToolMessage

from agents.runtime.endpoints.listening import MESSAGE_ID, Hearing
from agents.runtime.endpoints.written_calls import NO_JSON, flaw
from core.text import canonical, is_storable, shortened, storable

BROKEN_CALLS = "agentsite_broken_calls"  # by call id: why the call can't run, for the model
CUT_OFF = "agentsite_cut_off"  # why the answer ended early: one of the endings below
ORDER = "agentsite_call_order"  # the calls' ids in the order they were written, if some are invalid
LENGTH, FILTER, BROKEN_OFF = "length", "content_filter", "broken_off"
NO_WORDS = "[no answer]"  # replaces an answer without words, which many servers reject
UNKNOWN = "unknown"
MAX_REFUSAL = 2000  # characters
MAX_REASON = 500  # characters
MAX_ID = 200  # characters

# Providers use many words for the same ending; a word that matches none of these is an ordinary end.
_ENDINGS = {
    LENGTH: re.compile("length|max_?(output_?|completion_?)?tokens|token_limit|context_window"),
    FILTER: re.compile("filter|safety|recitation|prohibited|blocklist|spii|guardrail|sensitive|toxic|moderat|refusal"),
    BROKEN_OFF: re.compile(
        "error|abort|cancel|malformed|interrupt|insufficient|time_?out|unexpected|incomplete|^other$"
    ),
}
_REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason", "finishReason")  # by provider
_CUT = {
    LENGTH: "the output limit was reached",
    FILTER: "the endpoint's content filter stopped it",
    BROKEN_OFF: "the endpoint broke it off",
}
_SILENT = {"reasoning", "thinking", "redacted_thinking", "reasoning_content", "refusal", "non_standard"} | {
    *("tool_use", "tool_call", "function_call", "invalid_tool_call", "server_tool_call")
}
# Some servers leave reasoning in the text with only the closing tag.
_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_REST_OF_THOUGHT = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_NAME = re.compile(r"[\w-]{1,64}", re.ASCII)  # names that endpoints accept in a conversation


@dataclass(frozen=True)
class Problem:
    """Reason why a message can't serve as an answer."""

    text: str  # for the task's `message`
    kind: str  # for the metrics
    again: bool = False  # whether the model may simply be asked once more


def ending(reason: Any) -> str:
    """Return how an answer ended: LENGTH, FILTER, BROKEN_OFF, or empty if it is complete.

    Args:
        reason: the endpoint's word for it.
    """
    word = _word(reason).lower().replace("-", "_")
    return next((kind for kind, pattern in _ENDINGS.items() if pattern.search(word)), "")


def not_run(kind: str) -> str:
    """Return the message for the model that its answer was cut off, so a call in it was not run."""
    return (
        f"Your answer was cut off: {_CUT[kind]}. No call in it can be relied on, so this one was not run. Write it "
        "again in a shorter answer."
    )


def cut_text(kind: str) -> str:
    """Return the message for people that an answer was cut off, and why."""
    return f"The answer was cut off: {_CUT.get(kind, kind)}."


def problem_of(message: BaseMessage) -> Problem | None:
    """Return why this message of the model can't serve as its answer, or None if it can."""
    if not isinstance(message, AIMessage) or message.tool_calls:
        return None
    if message.invalid_tool_calls:  # in a graph without the middleware that reports it to the model
        reason = shortened(message.invalid_tool_calls[0]["error"] or "it was not valid JSON", MAX_REASON)
        return Problem(f"The model called a tool in a way that can't run: {reason}", "invalid_call", again=True)
    if message.additional_kwargs.get("function_call"):
        return Problem(
            "The model called a function in the old `function_call` form, which is not supported, so nothing has run. "
            "Ask the operator to use a model or an endpoint that answers with `tool_calls`.",
            "function_call",
            again=True,
        )
    if has_words(message):
        return None
    if refusal := _refusal(message):
        return Problem(f"The model refused: {shortened(str(storable(refusal)), MAX_REFUSAL)}", "refused")
    return _wordless(message)


def has_words(message: AIMessage) -> bool:
    """Return whether the message has content for people; reasoning and refusals don't count."""
    if "audio" in message.additional_kwargs:
        return True
    content = message.content
    return _is_said(content) if isinstance(content, str) else any(map(_is_said, content))


def worded(messages: Sequence[Any]) -> list[Any]:
    """Return the messages to send, with a placeholder for each answer that has neither words nor calls."""
    return [_worded(message) for message in messages]


def told(messages: Sequence[Any]) -> list[Any]:
    """Return the messages to send, with an error after each invalid call that has no result.

    In graphs without our middleware, nothing else reports the error, and endpoints reject calls without results.
    """
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    sent: list[Any] = []
    for message in messages:
        if not isinstance(message, AIMessage) or not message.invalid_tool_calls:
            sent.append(message)
            continue
        calls = _calls(message, None)
        sent.append(message.model_copy(update={"tool_calls": [call for call, _ in calls], "invalid_tool_calls": []}))
        sent += [
            ToolMessage(reason, name=call["name"], tool_call_id=call["id"], status="error")
            for call, reason in calls
            if reason and call["id"] not in answered
        ]
    return sent


def reliable(message: BaseMessage, offered: Container[str] = (), hearing: Hearing | None = None) -> BaseMessage:
    """Return the model's message with unique ids and content that can be stored.

    Some servers send the same id with every answer, which would replace the earlier message. Some send no id, or one
    id for several calls, which would mix up their reviews and results.

    Args:
        offered: the names of the tools that the model was offered.
        hearing: of the call that the message answers: the message keeps the id under which it was told.
    """
    if not isinstance(message, AIMessage):
        return message
    seen: set[str] = set()
    broken: dict[str, str] = {}
    cut = cut_of(message)
    calls = []
    for call, why in _calls(message, offered):
        own = own_id(call["id"], seen)
        if reason := not_run(cut) if cut else why:
            broken[own] = reason
        calls.append({**call, "id": own, "args": {} if reason else call["args"]})
    told_id = message.additional_kwargs.get(MESSAGE_ID)
    extras: dict[str, Any] = {BROKEN_CALLS: broken} if broken else {}
    if cut:
        extras[CUT_OFF] = cut
    # Broken calls stay ordinary calls, which the gate answers with an error: otherwise this message would be final.
    return message.model_copy(
        update={
            "id": told_id if hearing is not None and hearing.knows(told_id) else str(uuid.uuid4()),
            "content": storable(message.content),
            "tool_calls": storable(calls),
            "invalid_tool_calls": [],
            "additional_kwargs": storable({**_json_only(message.additional_kwargs), **extras}),
            "response_metadata": storable(_json_only(message.response_metadata)),
        }
    )


def own_id(given: str | None, seen: set[str]) -> str:
    """Return the call's id if it is usable, else a new one, and add it to `seen`."""
    usable = given and given not in seen and len(given) <= MAX_ID and is_storable(given)
    own = str(given) if usable else f"call_{uuid.uuid4().hex}"
    seen.add(own)
    return own


def cut_of(message: Any) -> str:
    """Return how this answer of the model ended early; empty if it is complete or not an answer of the model."""
    if not isinstance(message, AIMessage):
        return ""
    return str(message.additional_kwargs.get(CUT_OFF) or ending(reason_of(message)))


def reason_of(message: AIMessage) -> str:
    """Return the endpoint's word for why the answer ended; empty if it gave none."""
    metadata = message.response_metadata
    incomplete = metadata.get("incomplete_details")  # OpenAI's Responses API
    found = [metadata.get(key) for key in _REASONS] + [incomplete.get("reason") if isinstance(incomplete, dict) else ""]
    return next(filter(None, map(_word, found)), "")


def _word(reason: Any) -> str:
    return str(reason) if isinstance(reason, str | Enum) else ""


def _wordless(message: AIMessage) -> Problem:
    reason = reason_of(message)
    kind = ending(reason)
    word = shortened(str(storable(reason)), 50)
    if kind == LENGTH:
        text = f"The model used up its output limit before it said anything (it stopped with {word!r}). Trying again "
        return Problem(
            text + "may help with a shorter request, or ask the operator to raise the limit.", "output_limit"
        )
    if kind == FILTER and "refusal" in reason.lower():
        return Problem(f"The model refused to answer and gave no reason (it stopped with {word!r}).", "refused")
    if kind == FILTER:
        text = f"The answer was stopped by the endpoint's content filter before it said anything ({word!r}). Trying "
        return Problem(text + "again won't help until the request changes.", "content_filter")
    if kind == BROKEN_OFF:
        text = f"The endpoint broke off the model's answer before it said anything ({word!r})."
        return Problem(f"{text} Try again later.", "broken_off", again=True)
    if _has_thought(message):
        return Problem("The model only reasoned and said nothing. Trying again may help.", "no_answer", again=True)
    return Problem("The model said nothing and called no tool. Trying again may help.", "no_answer", again=True)


def _is_said(block: Any) -> bool:
    """Return whether the content, or a block of it, has words for people."""
    if isinstance(block, str):
        said = _REST_OF_THOUGHT.sub("", _THOUGHT.sub("", block))
        return any(unicodedata.category(char) not in _BLANK for char in said)
    kind = block.get("type", "text") if isinstance(block, dict) else ""
    if kind in ("text", "output_text"):
        return isinstance(block.get("text"), str) and _is_said(block["text"])
    return kind not in _SILENT


_BLANK = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}  # control characters, invisible characters, surrogates, spaces


def _has_thought(message: AIMessage) -> bool:
    blocks = message.content if isinstance(message.content, list) else []
    if any(isinstance(block, dict) and block.get("type") in _SILENT for block in blocks):
        return True
    text = str(message.text)
    known = str(message.additional_kwargs).lower()
    return "reasoning" in known or any(pattern.search(text) for pattern in (_THOUGHT, _REST_OF_THOUGHT))


def _refusal(message: AIMessage) -> str:
    blocks = message.content if isinstance(message.content, list) else []
    inside = [block.get("refusal") for block in blocks if isinstance(block, dict) and block.get("type") == "refusal"]
    said = [message.additional_kwargs.get("refusal"), *inside]
    return "\n".join(words for words in said if isinstance(words, str) and words.strip())


def _worded(message: Any) -> Any:
    if not isinstance(message, AIMessage) or message.tool_calls or message.invalid_tool_calls or has_words(message):
        return message
    return message.model_copy(update={"content": NO_WORDS, "additional_kwargs": {}})


def _calls(message: AIMessage, offered: Container[str] | None) -> list[tuple[dict[str, Any], str]]:
    """Return the message's calls in the order they were written, each with the reason why it can't run, or ""."""
    order = message.additional_kwargs.get(ORDER, [])
    found = [_judged(dict(call), offered) for call in message.tool_calls]
    found += [(_named(one), shortened(one["error"] or NO_JSON, MAX_REASON)) for one in message.invalid_tool_calls]
    return sorted(found, key=lambda one: order.index(one[0]["id"]) if one[0]["id"] in order else len(order))


def _named(invalid: InvalidToolCall) -> dict[str, Any]:
    """Return the invalid call in a form that can be sent back."""
    name = invalid["name"] or ""
    name = name if _NAME.fullmatch(name) else UNKNOWN
    return {"name": name, "args": {}, "id": invalid["id"], "type": "tool_call"}


def _judged(call: dict[str, Any], offered: Container[str] | None) -> tuple[dict[str, Any], str]:
    """Return the call and the reason why it can't run, which is empty if the offered tools are unknown."""
    name = call["name"]
    call = {**call, "type": "tool_call"}
    if offered is None:
        return call, ""
    if name not in offered and not _NAME.fullmatch(name):
        # Endpoints reject the whole conversation if such a name is sent back.
        return {**call, "name": UNKNOWN}, f"There is no tool called {shortened(name, 100)!r}."
    return call, flaw(call["args"])


def _json_only(extras: dict[str, Any]) -> dict[str, Any]:
    """Return the entries that are JSON and not None, without the keys in `ours`."""
    ours = {"tool_calls", "parsed", "logprobs", BROKEN_CALLS, CUT_OFF, ORDER, MESSAGE_ID}
    kept = {key: value for key, value in extras.items() if key not in ours and value is not None}
    return {key: value for key, value in kept.items() if _is_json(value)}


def _is_json(value: Any) -> bool:
    try:
        canonical(storable(value))
    except (TypeError, ValueError, RecursionError):
        return False
    return True
