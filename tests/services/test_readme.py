"""`manage.py dev` from an empty folder, and the README's own commands against it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

README = (ROOT / "README.md").read_text()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _as_from_a_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background passes on that it is ignored


class Service:
    """The whole service on a folder of its own."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder, self.port = folder, free_port()
        own = {name: value for name, value in os.environ.items() if name not in ("OPENAI_BASE_URL", "OPENAI_API_KEY")}
        own |= {"DEBUG": "true", "AGENTSITE_DATA": str(folder / "var"), "PORT": str(self.port), **env}
        self.log = folder / "dev.log"
        with self.log.open("wb") as log:
            command = [sys.executable, "manage.py", "dev"]
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=own,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_as_from_a_terminal,
            )
        until(lambda: "Press Ctrl-C to stop everything" in self.log.read_text() or self.process.poll() is not None, 180)
        assert self.process.poll() is None, self.log.read_text()
        self.first_run = json.loads((folder / "var" / "first-run.json").read_text())

    def answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def run(self, command: str) -> dict[str, Any]:
        """What a line of the README answers, when it is pasted into a shell in the project's folder."""
        command = command.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, text=True, timeout=30)
        return dict(json.loads(done.stdout))

    def children(self) -> list[int]:
        found = subprocess.run(["pgrep", "-f", str(self.port)], capture_output=True, text=True).stdout.split()
        return [int(pid) for pid in found if int(pid) != self.process.pid]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(90)
            finally:
                self.process.kill()  # its parts end with it


@pytest.fixture
def service(tmp_path: Path, empty_database: dict[str, str]) -> Iterator[Service]:
    made = Service(tmp_path, **empty_database)
    yield made
    made.stop()


def curl_lines() -> list[str]:
    block = re.search(r"<!-- run by tests/services/test_readme.py -->\n```bash\n(.*?)```", README, re.S)
    assert block is not None
    key, *lines = block[1].strip().splitlines()
    return [f"{key}\n{line}" for line in lines]


def test_the_readmes_lines_work_as_pasted_and_the_service_is_small_and_outlives_its_web_server(
    service: Service,
) -> None:
    invoke, status, resume, after = (service.run(line) for line in curl_lines())
    assert invoke == resume == {"user_id": "ann", "session_id": "trip", "task_id": "t1"}
    assert status["status"] == "interrupted"
    assert after["status"] == "completed"
    assert "Booked Ritz for 2 nights" in json.dumps(after["last_response"]["result"])
    it_is_small(service)  # now that each of its parts has worked, and so loaded what it needs
    it_starts_a_killed_web_server_again(service)


def it_is_small(service: Service) -> None:
    pids = [service.process.pid, *service.children()]
    tree = subprocess.run(["ps", "-o", "rss=", "-p", ",".join(map(str, pids))], capture_output=True, text=True).stdout
    assert sum(map(int, tree.split())) < 600 * 1024


def it_starts_a_killed_web_server_again(service: Service) -> None:
    masters = subprocess.run(["pgrep", "-f", f"gunicorn.*{service.port}"], capture_output=True, text=True).stdout
    assert masters.split()
    for pid in masters.split():
        os.kill(int(pid), signal.SIGKILL)
    time.sleep(1)
    assert until(service.answers)
