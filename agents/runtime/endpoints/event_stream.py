"""Reader for server-sent events, from bytes that come in pieces of any size.

See https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. Unlike there, an event
counts also if the stream ends without the blank line after it: whether it is whole, its JSON shows.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BOM = b"\xef\xbb\xbf"
_END = re.compile(rb"\r\n|\n|\r")
_FIELD = re.compile(rb"(data|event|id|retry)?:")  # without a name: a comment


@dataclass(frozen=True)
class Event:
    """One event, with its data as it was sent."""

    name: str
    data: bytes


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines without their ends."""
    buffer = bytearray()
    is_first = True
    for piece in pieces:
        looked = len(buffer)
        if buffer.endswith(b"\r"):  # its line feed may be in this piece
            looked -= 1
        buffer += piece
        start = 0
        for begin, end in [found.span() for found in _END.finditer(buffer, looked)]:
            if end == len(buffer) and buffer.endswith(b"\r"):
                break
            line = bytes(buffer[start:begin])
            yield line.removeprefix(BOM) if is_first else line
            start, is_first = end, False
        del buffer[:start]
    if buffer:
        rest = bytes(buffer).removesuffix(b"\r")
        yield rest.removeprefix(BOM) if is_first else rest


def begins_with(line: bytes) -> bool:
    """Return whether a stream of events can begin with this line, which is not blank."""
    return _FIELD.match(line) is not None


def events(written: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events that have data."""
    name, data = "", list[bytes]()
    for line in written:
        if not line:
            if data:
                yield Event(name, b"\n".join(data))
            name, data = "", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
    if data:
        yield Event(name, b"\n".join(data))
