"""A real web server on the test database, as clients see it."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx

from devserver.preflight import free_port
from tests.support.fork_server import Forked, ForkServer
from tests.support.processes import ROOT, children_of, until

WORKER = "agentsite.server.gunicorn_worker.Worker"


class Site:
    """A web server that can be killed and started again on its port, and a client's key."""

    def __init__(self, server: ForkServer, env: dict[str, str], log: Path, key: str) -> None:
        self.port, self.key, self.log = free_port(), key, log
        self.url = f"http://127.0.0.1:{self.port}"
        self.headers = {"Authorization": f"Bearer {key}"}
        self._server, self._env = server, env | {"DJANGO_SETTINGS_MODULE": "agentsite.settings"}
        self._process: Forked | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = ["agentsite.wsgi", "--bind", f"127.0.0.1:{self.port}", "--threads", "2", "--worker-class", WORKER]
        process = self._server.start("gunicorn", *command, "--no-control-socket", cwd=ROOT, env=self._env, log=self.log)
        self._process = process
        until(lambda: self.answers() or process.poll())
        assert process.poll() is None, self.log.read_text()

    def stop(self) -> None:
        """End it as an operator does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def kill(self) -> None:
        """End it at once, in the middle of whatever it sends."""
        assert self._process is not None
        for pid in [self._process.pid, *children_of(self._process.pid)]:
            os.kill(pid, signal.SIGKILL)
        self._process.wait(30)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def open(self, path: str, seconds: float = 30.0, **headers: str) -> Any:
        return httpx.stream("GET", f"{self.url}{path}", headers=self.headers | headers, timeout=seconds)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=self.headers, timeout=90)
