"""Misbehaviours on request, for tests: a model whose name begins with "fail-" fails as the name says.

- `fail-<status>`: any HTTP error, 400 to 599; 429 comes with Retry-After: 1
- `fail-<status>-once`: the same for the first request with a conversation; the same request again succeeds
- `fail-garbage`: 200 with a page of HTML
- `fail-empty`: 200 without choices
- `fail-hang`: silent for HANG_SECONDS or until the server stops, then an ordinary answer

A name that begins with "odd-" gets an ordinary answer, changed in one of the ways in `oddities`.
"""

import json
import re
import threading
from http import HTTPStatus
from typing import Any

from demo.model_server import oddities
from demo.model_server.replies import Answer, as_json, error

HANG_SECONDS = 30.0
STATUS = re.compile(r"fail-([45]\d\d)(-once)?")
NO_CHOICES = {"id": "chatcmpl-empty", "object": "chat.completion", "created": 0, "model": "fail-empty", "choices": []}
KNOWN = {
    401: error("Incorrect API key provided.", "invalid_api_key"),
    429: error("Rate limit reached.", "rate_limit_exceeded", "requests"),
    500: error("The server had an error while processing your request.", type_="server_error"),
}


class Misbehaviours:
    """Wrong answers, with a record of past requests for the `-once` kind. One per server, shared by its threads."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._lock = threading.Lock()
        self._seen: set[int] = set()

    def of(self, request: dict[str, Any]) -> Answer | None:
        """Return the wrong answer that the request's model name asks for; None for an ordinary one."""
        name = request["model"]
        if not name.startswith("fail-"):
            return None
        if match := STATUS.fullmatch(name):
            return None if match[2] and self._has_seen(request) else _failure(int(match[1]))
        if name == "fail-garbage":
            return Answer(200, b"<html><body><h1>It works!</h1></body></html>", "text/html")
        if name == "fail-empty":
            return _empty(request)
        if name == "fail-hang":
            self._stopping.wait(HANG_SECONDS)
            return None
        return unknown(name)

    def change(self, request: dict[str, Any], completion: dict[str, Any]) -> dict[str, Any] | None:
        """Return the completion, made odd if the request's model name asks for it; None for an unknown name."""
        name = request["model"]
        if not name.startswith("odd-"):
            return completion
        kind, once, _ = name.removeprefix("odd-").partition("-once")
        return completion if once and self._has_seen(request) else oddities.changed(kind, completion)

    def forget(self) -> None:
        """Forget all conversations, for tests that share a server."""
        with self._lock:
            self._seen.clear()

    def _has_seen(self, request: dict[str, Any]) -> bool:
        """Return whether a model of this name got these messages before, and record that it has now."""
        key = hash(json.dumps([request["model"], request["messages"]]))
        with self._lock:
            seen = key in self._seen
            self._seen.add(key)
        return seen


def unknown(name: str) -> Answer:
    return as_json(404, error(f"The model '{name}' does not exist.", "model_not_found"))


def _failure(status: int) -> Answer:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "An error"
    headers = {"Retry_After": "1"} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return as_json(status, KNOWN.get(status) or error(phrase), **headers)


def _empty(request: dict[str, Any]) -> Answer:
    if not request.get("stream"):
        return as_json(200, NO_CHOICES)
    chunk = json.dumps({**NO_CHOICES, "object": "chat.completion.chunk"})
    return Answer(200, f"data: {chunk}\n\ndata: [DONE]\n\n".encode(), "text/event-stream")
