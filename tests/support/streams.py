"""Streamed answers as endpoints send them, byte by byte, for `tests.support.endpoint`."""

import json
import threading
from collections.abc import Iterable
from typing import Any

from tests.support.endpoint import Reply, Write, head

DONE = "data: [DONE]\n\n"


def event(value: Any) -> str:
    """One event with this value as JSON."""
    return f"data: {json.dumps(value)}\n\n"


def chunk(delta: Any, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with this delta."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice], **more}


def call_piece(arguments: Any = None, **more: Any) -> dict[str, Any]:
    """A piece of a tool call; `name` goes into its function."""
    function = {"name": more.pop("name", None), "arguments": arguments}
    return {**more, "function": {key: value for key, value in function.items() if value is not None}}


def calls(*pieces: dict[str, Any]) -> str:
    """A stream with one delta for each piece of a call."""
    deltas = [event(chunk({"role": "assistant", "content": None}))]
    deltas += [event(chunk({"tool_calls": [piece]})) for piece in pieces]
    return "".join([*deltas, event(chunk({}, "tool_calls")), DONE])


def words(*texts: str, finish_reason: str | None = "stop", done: bool = True) -> str:
    """A stream with one delta for each text."""
    events = [event(chunk({"role": "assistant", "content": ""})), *(event(chunk({"content": one})) for one in texts)]
    return "".join([*events, event(chunk({}, finish_reason)), DONE if done else ""])


def streams(
    *pieces: str | bytes, pause: float = 0.0, cut: bool = False, content_type: str = "text/event-stream"
) -> Reply:
    """These pieces in packets of their own, with a pause after each; `cut`: the connection then ends too early."""
    return _sends(pieces, pause, content_type, cut=cut)


def goes_on(first: str, again: str, pause: float = 0.0) -> Reply:
    """A stream that never ends."""

    def pieces() -> Iterable[str]:
        yield first
        while True:
            yield again

    return _sends(pieces(), pause, "text/event-stream", cut=True)


def _sends(pieces: Iterable[str | bytes], pause: float, content_type: str, *, cut: bool) -> Reply:
    def reply(write: Write, stopping: threading.Event) -> None:
        write(head(200, None, content_type, {"Transfer-Encoding": "chunked"}))
        for piece in pieces:
            data = piece.encode() if isinstance(piece, str) else piece
            write(b"%x\r\n%b\r\n" % (len(data), data))
            if pause and stopping.wait(pause):
                return
        if not cut:
            write(b"0\r\n\r\n")

    return reply
