"""Joining of tool calls that came in pieces.

OpenAI numbers the calls of an answer and names a call only in its first piece. Other servers number all calls alike,
number none, repeat the name with each piece, or make up an id for each.
"""

import json
from typing import Any

from agents.runtime.endpoints.joining import Parts, first_of, joined
from core.text import storable


def calls_of(values: list[Any]) -> Any:
    """Return the calls that the deltas' `tool_calls` make, in their order; the last value if none is a list."""
    given = [value for value in values if value is not None]
    lists = [value for value in given if isinstance(value, list)]
    if not lists:
        return given[-1] if given else None
    found: list[_Call] = []
    for pieces in lists:
        touched: list[_Call] = []
        for piece in pieces:
            call = _continued(found, piece, touched)
            if call is None:
                call = _Call()
                found.append(call)
            call.add(piece)
            touched.append(call)
    if all(call.index is not None for call in found):
        found.sort(key=lambda call: call.index or 0)
    return [call.whole() for call in found]


class _Call:
    """The pieces of one call."""

    def __init__(self) -> None:
        self.index: int | None = None
        self.id = self.name = ""
        self.is_readable = False  # an object
        self._end = ""  # the last character of the arguments so far
        self._pieces: list[Any] = []

    def add(self, piece: Any) -> None:
        self._pieces.append(piece)
        if isinstance(piece, dict):
            self.is_readable = True
            self.index = _index_of(piece) if self.index is None else self.index
            self.id = self.id or _id_of(piece)
            self.name = self.name or _name_of(piece)
            self._end = _arguments_of(piece).rstrip()[-1:] or self._end

    def is_followed_by(self, piece: Parts, *, at_once: bool) -> bool:
        """Return whether this piece, which has the same number or none, begins another call.

        Args:
            at_once: whether it came in the same chunk as a piece of this call.
        """
        name, given = _name_of(piece), _id_of(piece)
        if not name:
            return at_once and bool(given and self.id) and given != self.id
        if given and self.id:
            return given != self.id
        if at_once:
            return True
        if name == self.name:
            return self._end == "}" and _arguments_of(piece).lstrip().startswith("{")
        return bool(self._end)  # before the arguments, it may be the rest of the name

    def whole(self) -> Any:
        """Return the call as an unstreamed answer has it."""
        if not self.is_readable:
            return self._pieces[0]
        call: Parts = {}
        for key in dict.fromkeys(key for piece in self._pieces for key in piece):
            if key == "index" and self.index is not None:
                continue
            values = [piece[key] for piece in self._pieces if key in piece]
            if key == "function" and all(isinstance(value, dict) for value in values):
                call[key] = _function(values)
            else:
                call[key] = first_of(values) if key in ("id", "type") else _extra(values)
        return call


def _continued(found: list[_Call], piece: Any, touched: list[_Call]) -> _Call | None:
    """Return the call that this piece continues, or None if it begins one."""
    if not isinstance(piece, dict):
        return None
    index, given = _index_of(piece), _id_of(piece)
    if index is not None:
        last = next((call for call in reversed(found) if call.index == index), None)
    else:
        known = next((call for call in reversed(found) if given and call.id == given), None)
        if known is not None and known not in touched:
            return known
        last = found[-1] if found and found[-1].is_readable else None
    if last is None or last.is_followed_by(piece, at_once=last in touched):
        return None
    return last


def _function(values: list[Parts]) -> Parts:
    function: Parts = {}
    for key in dict.fromkeys(key for value in values for key in value):
        pieces = [value[key] for value in values if key in value]
        match key:
            case "name":
                function[key] = _name(pieces)
            case "arguments":
                function[key] = _arguments(pieces)
            case _:
                function[key] = _extra(pieces)
    return function


def _name(values: list[Any]) -> Any:
    """Return the name, from its pieces or its repetitions."""
    texts = [value for value in values if isinstance(value, str) and value]
    if len(texts) < 2:
        return first_of(texts or values)
    name = texts[0]
    return name + "".join(text for text in texts[1:] if text != name)


def _arguments(values: list[Any]) -> Any:
    """Return the text of the arguments, or the one other value. Two of those make a text that can't be read."""
    given = [value for value in values if value is not None]
    if any(not isinstance(value, str) for value in given):
        given = [value for value in given if value != ""]
    if len(given) < 2:
        return given[0] if given else None
    return "".join(value if isinstance(value, str) else json.dumps(storable(value)) for value in given)


def _extra(values: list[Any]) -> Any:
    """Return a field of the server's own, such as a signature, from its pieces or its repetitions."""
    given = [value for value in values if value is not None]
    return given[0] if given and all(value == given[0] for value in given) else joined(given)


def _index_of(piece: Parts) -> int | None:
    index = piece.get("index")
    return index if type(index) is int else None


def _id_of(piece: Parts) -> str:
    given = piece.get("id")
    return given if isinstance(given, str) else ""


def _name_of(piece: Parts) -> str:
    name = _inside(piece).get("name")
    return name if isinstance(name, str) else ""


def _arguments_of(piece: Parts) -> str:
    """Return the piece of the arguments' text; of any other value a text that ends like one."""
    arguments = _inside(piece).get("arguments")
    return arguments if isinstance(arguments, str) else "" if arguments is None else "}"


def _inside(piece: Parts) -> Parts:
    function = piece.get("function")
    return function if isinstance(function, dict) else {}
