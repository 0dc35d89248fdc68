"""Joining of a streamed answer's chunks to the one body that the endpoint would have sent unstreamed."""

from typing import Any

from agents.runtime.endpoints.call_pieces import calls_of
from agents.runtime.endpoints.joining import ONCE, Parts, first_of, joined, joined_blocks

FINISH = "finish_reason"


class Joined:
    """A streamed answer, as far as it has come. Its calls are read only when it is whole."""

    def __init__(self) -> None:
        self._envelope: Parts = {}
        self._choices: dict[int, _Choice] = {}
        self._has_choices = False
        self._odd: Any = None  # choices in a form that can't be joined

    def add(self, chunk: Parts) -> Parts:
        """Add a chunk. Returns what it adds to the first choice's message; empty if nothing."""
        choices = chunk.get("choices")
        self._envelope |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        self._has_choices |= "choices" in chunk
        if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
            self._odd = choices or self._odd
            return {}
        added: Parts = {}
        for place, raw in enumerate(choices):
            index = raw.get("index")
            index = index if type(index) is int else place
            part = self._choices.setdefault(index, _Choice()).add(raw)
            if index == min(self._choices):
                added = part
        return added

    @property
    def has_begun(self) -> bool:
        """Whether any choice has come."""
        return bool(self._choices)

    @property
    def is_finished(self) -> bool:
        """Whether each choice is at its end, as far as the endpoint has said."""
        return all(choice.is_finished for choice in self._choices.values())

    def body(self) -> Parts:
        """Return the unstreamed body."""
        body = {**self._envelope, "object": "chat.completion"}
        if self._odd is not None:
            body["choices"] = self._odd
        elif self._has_choices:
            body["choices"] = [{"index": index, **self._choices[index].whole()} for index in sorted(self._choices)]
        return body


class _Choice:
    def __init__(self) -> None:
        self._deltas: list[Parts] = []
        self._messages: list[Parts] = []  # some servers send these in place of deltas
        self._says = False  # whether a delta has more than the role
        self._logprobs: list[Any] = []
        self._others: Parts = {FINISH: None}

    @property
    def is_finished(self) -> bool:
        return bool(self._others[FINISH]) or (not self._says and len(self._messages) == 1)

    def add(self, raw: Parts) -> Parts:
        """Add a chunk's choice. Returns what it adds to the message."""
        delta, message = raw.get("delta"), raw.get("message")
        self._logprobs.append(raw.get("logprobs"))
        others = {key: one for key, one in raw.items() if key not in ("index", "delta", "message", "logprobs")}
        self._others |= {key: one for key, one in others.items() if one is not None}
        if isinstance(message, dict):
            self._messages.append(message)
        if isinstance(delta, dict):
            self._deltas.append(delta)
            if any(value for key, value in delta.items() if key != "role"):
                self._says = True
                return delta
        return message if isinstance(message, dict) and not self._says else {}

    def whole(self) -> Parts:
        """Return the choice as an unstreamed body has it, without its index."""
        parts = self._deltas if self._says or not self._messages else self._messages
        is_whole = parts is self._messages and len(parts) == 1
        message = parts[0] if is_whole else message_of(parts)
        return {**({"message": message} if parts else {}), "logprobs": joined(self._logprobs), **self._others}


def message_of(parts: list[Parts]) -> Parts:
    """Return the message that these deltas, or parts in the form of messages, make."""
    message: Parts = {}
    for key in dict.fromkeys(key for part in parts for key in part):
        values = [part[key] for part in parts if key in part]
        if key == "tool_calls":
            message[key] = calls_of(values)
        elif key == "content":
            message[key] = _content(values)
        else:
            message[key] = first_of(values) if key in ONCE else joined(values)
    return message


def said(part: Parts) -> tuple[str, str]:
    """Return the text and the reasoning in a delta, or in a message."""
    content = part.get("content")
    blocks = [content] if isinstance(content, str | dict) else content if isinstance(content, list) else []
    text = "".join(_text(one, ("text", "output_text")) for one in blocks)
    # Servers that send both repeat the same reasoning in them.
    fields = (part.get(key) for key in ("reasoning_content", "reasoning"))
    thought = next((one for one in fields if isinstance(one, str) and one), "")
    return text, thought or "".join(_text(one, ("thinking", "reasoning"), plain=False) for one in blocks)


def _content(values: list[Any]) -> Any:
    """Return the content: a text, or blocks if there are any."""
    given = [value for value in values if value is not None]
    if len(given) < 2 or all(isinstance(value, str) for value in given):
        return joined(given)
    given = [value for value in given if value != ""]
    if len(given) == 1:
        return given[0]
    return joined_blocks([_as_blocks(value) for value in given])


def _as_blocks(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content} if isinstance(content, str) else content]


def _text(block: Any, kinds: tuple[str, ...], *, plain: bool = True) -> str:
    """Return the text of a block of these kinds; of a text without a kind if `plain`."""
    if isinstance(block, str):
        return block if plain else ""
    if not isinstance(block, dict) or block.get("type") not in kinds:
        return ""
    texts = [block.get(key) for key in ("text", "thinking", "reasoning")]
    inner = [_text(one, ("text",)) for value in texts if isinstance(value, list) for one in value]
    return "".join([*(one for one in texts if isinstance(one, str)), *inner])
