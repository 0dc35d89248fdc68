"""A web server that sends exactly the bytes it is told to, a list of pieces for each connection, and then closes it."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Piece = bytes | float  # what is sent, or seconds to wait before the next piece
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def reply(status: int, body: Any, **headers: str) -> list[Piece]:
    """A whole response."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Odd", f"Content-Length: {len(text)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode() + text]


def refusal(status: int, code: str, **headers: str) -> list[Piece]:
    """An error of the service."""
    return reply(status, {"detail": "no", "code": code}, **headers)


def event(number: int, kind: str = "custom", **data: Any) -> bytes:
    """A stored event, as the service sends it."""
    told = {"task_id": "t", "seq": number, "at": "2026-01-01T00:00:00Z", "kind": kind, "data": data}
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(told, ensure_ascii=False)}\n\n".encode()


def chunk(position: int, text: str, message: str = "m") -> bytes:
    data = {"task_id": "t", "message_id": message, "position": position, "text": text, "kind": "text"}
    return f"event: chunk\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


END = b'event: end\ndata: {"status": "completed"}\n\n'


@dataclass
class OddServer:
    """Answers each connection with the next reply, and notes what was asked."""

    replies: Sequence[Sequence[Piece]]
    asked: list[str] = field(default_factory=list)  # method and path
    bodies: list[Any] = field(default_factory=list)
    url: str = ""
    left: int = 0  # clients that went before they had everything

    def serve(self, listener: socket.socket) -> None:
        """Take a connection for each reply."""
        for pieces in self.replies:
            connection, _ = listener.accept()
            self._read(connection)
            threading.Thread(target=self._send, args=(connection, pieces), daemon=True).start()

    def _send(self, connection: socket.socket, pieces: Sequence[Piece]) -> None:
        with connection, suppress(OSError):
            for piece in pieces:
                if isinstance(piece, float):
                    time.sleep(piece)
                else:
                    connection.sendall(piece)
            return
        self.left += 1

    def _read(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as request:
            method, path, _ = request.readline().decode().split()
            headers = dict(line.decode().lower().strip().split(": ", 1) for line in iter(request.readline, b"\r\n"))
            body = request.read(int(headers.get("content-length", 0)))
        self.asked.append(f"{method} {path}")
        self.bodies.append(json.loads(body) if body else None)


@contextmanager
def odd_server(*replies: Sequence[Piece]) -> Iterator[OddServer]:
    """A server with these replies. After the last one, it refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = OddServer(replies, url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=_serve_and_close, args=(made, listener), daemon=True)
        thread.start()
        yield made


def _serve_and_close(server: OddServer, listener: socket.socket) -> None:
    with listener, suppress(OSError):  # the test may be over before all is asked for
        server.serve(listener)
