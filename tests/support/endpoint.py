"""A model's endpoint on loopback that answers as a test says, byte by byte: what no rule model and no client would."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

from typing_extensions import override

Write = Callable[[bytes], None]
Reply = Callable[[Write, threading.Event], None]


class Endpoint(socketserver.ThreadingTCPServer):
    """Answers each request with the next reply, and with the last one from then on."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *replies: Reply) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = list(replies)
        self.requests: list[Any] = []  # the bodies that came
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.open = 0  # connections that are being answered
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def next(self, body: Any) -> Reply:
        with self.lock:
            self.requests.append(body)
            return self.replies[min(len(self.requests), len(self.replies)) - 1]

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error here."""

    @override
    def __enter__(self) -> "Endpoint":
        return self

    @override
    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    server: Endpoint

    @override
    def handle(self) -> None:
        self.rfile.readline()
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = json.loads(self.rfile.read(length) or b"null")
        self.server.open += 1
        try:
            self.server.next(body)(self._write, self.server.stopping)
        finally:
            self.server.open -= 1

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()


def head(status: int, length: int | None, content_type: str, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {content_type}", "Connection: close"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def says(body: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> Reply:
    """This body, as JSON where it is no text."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    def reply(write: Write, _: threading.Event) -> None:
        write(head(status, len(data), content_type, headers) + data)

    return reply


def breaks_off(body: Any, status: int = 200) -> Reply:
    """Half of this body, and the connection ends."""
    data = json.dumps(body).encode()

    def reply(write: Write, _: threading.Event) -> None:
        write(head(status, len(data), "application/json", {}) + data[: len(data) // 2])

    return reply


def trickles(body: Any, pause: float = 0.1, *, in_head: bool = False, blanks: bool = False) -> Reply:
    """One byte at a time: of the answer, of its headers, or of blanks that never end."""
    data = json.dumps(body).encode()
    start = head(200, None if blanks else len(data), "application/json", {})

    def pieces() -> Iterator[bytes]:
        if in_head:
            yield from (start[i : i + 1] for i in range(len(start)))
        else:
            yield start
        while blanks:
            yield b" "
        yield from (data[i : i + 1] for i in range(len(data)))

    def reply(write: Write, stopping: threading.Event) -> None:
        for piece in pieces():
            write(piece)
            if stopping.wait(pause):
                return

    return reply


def completion(content: str | None = "Done.", *calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """What OpenAI's API answers."""
    asked = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for n, (name, args) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": content, **({"tool_calls": asked} if asked else {})}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if asked else "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


def anthropic_message(text: str = "Done.") -> dict[str, Any]:
    """What Anthropic's API answers."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def ollama_message(text: str = "Done.") -> str:
    """What Ollama's API answers: a stream of JSON lines."""
    common = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
    part = {**common, "message": {"role": "assistant", "content": text}, "done": False}
    end = {**common, "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    return f"{json.dumps(part)}\n{json.dumps(end)}\n"
