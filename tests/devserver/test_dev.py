"""`manage.py dev` as a whole: what it starts, says and leaves behind."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from devserver.first_run import FILE_NAME
from devserver.preflight import free_port


class Dev:
    """`manage.py dev` on a data folder, and what it has shown."""

    def __init__(self, folder: Path, port: int, log: Path) -> None:
        unset = {"DATABASE_URL", "REDIS_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "AGENT_MODEL", "SECRET_KEY"}
        environ = {name: value for name, value in os.environ.items() if name not in unset}
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "dev", "--port", str(port)],
                cwd=settings.BASE_DIR,
                env={**environ, "DEBUG": "true", "AGENTSITE_DATA": str(folder)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def ready(self, seconds: float = 150) -> str:
        """What it shows once it is ready."""
        deadline = time.monotonic() + seconds
        while "Press Ctrl-C to stop everything" not in (shown := self.log.read_text()):
            assert self.process.poll() is None, shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.1)
        return shown

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=20)


def _processes_of(folder: Path) -> list[str]:
    """The commands of the processes whose environment names the data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Callable[[int], Dev]]:
    started: list[Dev] = []

    def start(port: int) -> Dev:
        started.append(Dev(tmp_path / "data", port, tmp_path / f"log-{len(started)}"))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.mark.slow
class TestDev:
    def test_it_answers_shows_its_accounts_and_leaves_nothing_running_when_it_is_killed(self, dev, tmp_path):
        running = dev(port := free_port())
        shown = running.ready()
        made = json.loads((tmp_path / "data" / FILE_NAME).read_text())
        assert made["url"] == f"http://127.0.0.1:{port}"
        assert made["admin_password"] in shown
        with urllib.request.urlopen(f"{made['url']}/health") as answer:
            assert answer.status == 200
        if sys.platform != "linux":  # only Linux tells a process of its parent's death
            return
        assert len(_processes_of(tmp_path / "data")) >= 4  # supervisor, two of the web server, worker, rule model
        running.process.kill()
        deadline = time.monotonic() + 15
        while left := _processes_of(tmp_path / "data"):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)

    @pytest.mark.long
    def test_nothing_runs_on_when_it_is_stopped_and_later_starts_only_say_where_the_accounts_are(self, dev, tmp_path):
        first = dev(free_port())
        first.ready()
        before = (tmp_path / "data" / FILE_NAME).read_bytes()
        assert first.stop() == 0
        assert _processes_of(tmp_path / "data") == []
        shown = dev(free_port()).ready()
        assert (tmp_path / "data" / FILE_NAME).read_bytes() == before
        assert json.loads(before)["admin_password"] not in shown
        assert FILE_NAME in shown

    def test_a_busy_port_is_one_line(self, dev):
        with socket.create_server(("127.0.0.1", 0)) as server:
            running = dev(port := server.getsockname()[1])
            assert running.process.wait(timeout=60) == 1
        [line] = running.log.read_text().splitlines()
        assert f"port {port}" in line
