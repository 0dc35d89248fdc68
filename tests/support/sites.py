"""A real web server on the test's database, and what it streams."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

BEAT = 1.0  # seconds between two comments of a stream
WORKER = "agentsite.server.gunicorn_worker.Worker"


class Site:
    """A web server and a client's key."""

    def __init__(self, port: int, key: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.headers = {"Authorization": f"Bearer {key}"}

    def open(self, path: str, seconds: float = 30.0, **headers: str) -> Any:
        return httpx.stream("GET", f"{self.url}{path}", headers=self.headers | headers, timeout=seconds)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=self.headers, timeout=90)


def read(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
    """Each event's name, id and data."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def answers(url: str) -> bool:
    """Whether it answers with a 200."""
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
