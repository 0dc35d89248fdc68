"""A real web server on the test's database, and what it streams."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from devserver.preflight import free_port
from tests.support.fork_server import Forked, ForkServer
from tests.support.processes import ROOT, children_of, until

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


class WebServer(Site):
    """A site that can be killed and started again at its address."""

    def __init__(self, server: ForkServer, env: dict[str, str], log: Path, key: str) -> None:
        self.port, self.key, self.log = free_port(), key, log
        super().__init__(self.port, key)
        more = {"DJANGO_SETTINGS_MODULE": "agentsite.settings", "STREAM_HEARTBEAT_SECONDS": str(BEAT)}
        self._server, self._env = server, {**env, **more}
        self._process: Forked | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = ["agentsite.wsgi", "--bind", f"127.0.0.1:{self.port}", "--threads", "2", "--worker-class", WORKER]
        process = self._server.start("gunicorn", *command, "--no-control-socket", cwd=ROOT, env=self._env, log=self.log)
        self._process = process
        until(lambda: answers(f"{self.url}/health") or process.poll())
        assert process.poll() is None, self.log.read_text()

    def kill(self) -> None:
        """End it at once, in the middle of whatever it sends."""
        assert self._process is not None
        for pid in [self._process.pid, *children_of(self._process.pid)]:
            os.kill(pid, signal.SIGKILL)
        self._process.wait(30)

    def stop(self) -> None:
        """End it as an operator does."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)


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
