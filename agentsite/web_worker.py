"""gunicorn's threaded worker, whose own refusals are JSON like every other error of the service."""

import http
import json
import socket
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

SERVER_ERROR = 500


class Worker(ThreadWorker):
    """For `gunicorn --worker-class agentsite.web_worker.Worker`."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Source: gunicorn.workers.base. What can't be read as HTTP never reaches Django, which would answer it."""
        super().handle_error(req, _JsonRefusal(client), addr, exc)


class _JsonRefusal:
    """The client's socket for one answer: of what gunicorn writes it keeps the status, and sends JSON for the page."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        """Source: socket.socket."""
        self._client.sendall(refusal(int(page.split(b" ", 2)[1])))


def refusal(status: int) -> bytes:
    """The whole answer. Says nothing of what was sent: it may be anything, and gunicorn's log has it."""
    phrase = http.HTTPStatus(status).phrase
    known = status < SERVER_ERROR
    detail = f"This is not a request that the server takes: {phrase}." if known else "The server can't do that."
    body = json.dumps({"detail": detail, "code": "invalid" if known else "server_error"}).encode()
    head = f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body
