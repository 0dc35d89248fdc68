"""Model that answers at once: an OpenAI-compatible server with two canned answers, for benchmarks.

    python -m benchmarks.speed.model_server PORT

A conversation without a result of a tool gets a call, any other gets a text. The model's name says more: `approval`
calls the tool of that measure, and `sleep-4` waits four seconds before each answer. `GET /figures` returns how many
answers were asked for, and how many of them wait. An answer takes about 0.1 ms of CPU, so that a benchmark measures its
clients.
"""

import asyncio
import json
import re
import signal
import sys
from dataclasses import asdict, dataclass
from typing import Any, cast

from typing_extensions import override

LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
MODEL = re.compile(rb'"model":\s*"(?:sleep-(?P<seconds>[\d.]+)|(?P<name>[^"]*))"')
RESULT = re.compile(rb'"role":\s*"tool"')
STREAM = re.compile(rb'"stream":\s*true')
CALLS = {"": ("multiply", {"a": 6, "b": 7}), "approval": ("note_start", {"text": "now"})}
TEXT = "The answer is 42."  # the clients look for the number
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


@dataclass
class Figures:
    """Numbers of answers."""

    asked: int = 0
    waiting: int = 0  # in their sleep


class Server(asyncio.Protocol):
    """One connection, whose requests come one after the other."""

    def __init__(self, figures: Figures) -> None:
        self.figures, self.received = figures, b""
        self.transport: asyncio.Transport | None = None
        self.alarm: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.alarm is not None:
            self.alarm.cancel()
            self._end_wait()

    @override
    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, rest = self.received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        size = int(length[1]) if length else 0
        if found and len(rest) >= size:
            self.received = rest[size:]
            self._answer(head, rest[:size])

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            self._send(asdict(self.figures))
            return
        self.figures.asked += 1
        model = MODEL.search(body)
        if model is None or STREAM.search(body):
            self._send({"error": {"message": "This model answers chat completions without streaming."}}, 400)
            return
        answer = completion((model["name"] or b"").decode(), self.figures.asked, told=bool(RESULT.search(body)))
        if model["seconds"] is None:
            self._send(answer)
            return
        self.figures.waiting += 1
        self.alarm = asyncio.get_running_loop().call_later(float(model["seconds"]), self._awake, answer)

    def _awake(self, answer: dict[str, Any]) -> None:
        self._end_wait()
        self._send(answer)

    def _end_wait(self) -> None:
        self.alarm = None
        self.figures.waiting -= 1

    def _send(self, answer: dict[str, Any], status: int = 200) -> None:
        if self.transport is not None:
            body = json.dumps(answer).encode()
            head = f"HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)


def completion(model: str, number: int, *, told: bool) -> dict[str, Any]:
    """Return the body of an answer: a text if the model was told the result of its call, else the call."""
    message: dict[str, Any] = {"role": "assistant", "content": TEXT if told else None}
    if not told:
        name, args = CALLS.get(model, CALLS[""])
        function = {"name": name, "arguments": json.dumps(args)}
        message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": function}]
    choice = {"index": 0, "finish_reason": "stop" if told else "tool_calls", "message": message}
    about = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 0, "model": model or "canned"}
    return {**about, "choices": [choice], "usage": USAGE}


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    loop, stop, figures = asyncio.get_running_loop(), asyncio.Event(), Figures()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await loop.create_server(lambda: Server(figures), "127.0.0.1", port, backlog=2048)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
