"""Celery workers that are killed, stopped and started again."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class Workers:
    """So many prefork workers, each with its children; one that dies is started again at once."""

    def __init__(self, count: int, children: int, folder: Path) -> None:
        self.children, self.folder = children, folder
        self.killed: dict[int, float] = {}  # by process id: when
        self._number = 0
        self._quit = threading.Event()
        self.running = [self._start() for _ in range(count)]
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def kill(self, chance: random.Random) -> None:
        """kill -9: mostly of one child, sometimes of a whole worker, or of the parent alone."""
        worker = chance.choice(self.running)
        kind = chance.choices(("child", "worker", "parent"), (8, 1, 1))[0]
        victims = [worker.pid] if kind == "parent" else _children(worker.pid)
        if kind == "child":
            victims = [chance.choice(victims)] if victims else []
        elif kind == "worker":
            victims.append(worker.pid)
        for pid in victims:
            self.killed[pid] = time.time()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stall(self, chance: random.Random, seconds: float) -> None:
        """SIGSTOP of one child or of a whole worker for longer than its lease, then SIGCONT."""
        worker = chance.choice(self.running)
        victims = _children(worker.pid)
        if chance.random() < 0.7 and victims:
            victims = [chance.choice(victims)]
        else:
            victims.append(worker.pid)
        _signal(victims, signal.SIGSTOP)
        for pid in victims:
            self.killed.setdefault(pid, time.time())
        threading.Timer(seconds, _signal, (victims, signal.SIGCONT)).start()

    def stop(self) -> None:
        """End all of them."""
        self._quit.set()
        self._keeper.join()
        for worker in self.running:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGCONT)
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

    def _keep(self) -> None:
        while not self._quit.wait(0.1):
            for place, worker in enumerate(self.running):
                if worker.poll() is not None:
                    self.running[place] = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._number += 1
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "agentsite", "worker", "-P", "prefork"]
        command += ["-c", str(self.children), "-n", f"chaos{self._number}@%h", "--without-gossip", "--without-mingle"]
        with open(self.folder / "workers.log", "ab") as log:
            return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def _children(pid: int) -> list[int]:
    return list(_read_children(pid))


def _read_children(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for name in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield int(name)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
