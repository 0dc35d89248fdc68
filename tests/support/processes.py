"""Worker processes of a test, and waiting for what they do."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.db import connection
from django.db.models import Q

from agents.models import WorkerProcess
from tests.support.fork_server import Forked, ForkServer

ROOT = Path(__file__).parent.parent.parent


FAST = {
    "TASK_LEASE_SECONDS": "3",
    "TASK_HEARTBEAT_SECONDS": "1",
    "TASK_SWEEP_SECONDS": "1",
    "TASK_REPUBLISH_SECONDS": "2",
}


def until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """What the condition gave when it first was true; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {condition.__doc__ or condition}")


def database_url() -> str:
    """Of the test database, for other processes."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(django_settings.DATABASE_URL)._replace(path=f"/{name}").geturl()


def environment(model_url: str) -> dict[str, str]:
    """Of a worker or web server that shares the test database and its broker."""
    return {
        **os.environ,
        **FAST,
        "DATABASE_URL": database_url(),
        "OPENAI_BASE_URL": model_url,
        "AGENT_MODEL": "openai:demo",
        "AGENT_TOOLS": "tests.support.oracle",
        "PYTHONPATH": str(ROOT),
    }


def freeze(worker: Forked) -> None:
    """Stop the process, but not while it has SQLite's write lock: until it went on, nobody could write."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        until(lambda: _stands_still(worker.pid))
        if _can_write():
            return
        worker.send_signal(signal.SIGCONT)
        time.sleep(0.01)


def _stands_still(pid: int) -> bool:
    """Whether each thread has stopped: the signal comes back before that, and a lock is taken in a moment."""
    states = [stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) == {"T"}


def _can_write() -> bool:
    if connection.vendor != "sqlite":
        return True
    with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


def children_of(pid: int) -> list[int]:
    """The processes that a prefork worker has forked."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_ready(pid: int) -> bool:
    """Whether this worker, or a child of it, has reported itself."""
    names = Q(name__endswith=f":{pid}")
    for child in children_of(pid):
        names |= Q(name__endswith=f":{child}")
    return WorkerProcess.objects.filter(names).exists()


def in_shell(server: ForkServer, code: str, env: dict[str, str], log: Path) -> Forked:
    """Run lines in `manage.py shell`, in a process of their own; what they print goes to the file."""
    return server.start("manage", "shell", "--no-imports", "-c", code, cwd=ROOT, env=env, log=log)


class Workers:
    """Worker processes that a test starts, stops and kills by their ids."""

    def __init__(self, server: ForkServer, env: dict[str, str], folder: Path) -> None:
        self.server = server
        self.env = env
        self.folder = folder
        self.started: list[Forked] = []

    def start(self, **env: str) -> Forked:
        """A worker that is ready for jobs."""
        number = len(self.started)
        args = ("-A", "agentsite", "worker", "-n", f"w{number}-{os.getpid()}@test")
        log = self.folder / f"worker{number}.log"
        worker = self.server.start("celery", *args, cwd=ROOT, env={**self.env, **env}, log=log)
        self.started.append(worker)
        until(lambda: is_ready(worker.pid) or worker.poll())
        assert worker.poll() is None, self.log(number)
        return worker

    def log(self, number: int = 0) -> str:
        return (self.folder / f"worker{number}.log").read_text()

    def end(self) -> None:
        for worker in self.started:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
                worker.wait()
