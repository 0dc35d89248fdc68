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

from benchmarks.harness.blows import Blows

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0  # for a worker to have its children; some seconds on an idle machine


class Workers:
    """A number of workers, with child processes in a prefork pool. A worker that dies is started again immediately."""

    def __init__(self, count: int, pool: str, size: int, folder: Path, blows: Blows) -> None:
        self.pool, self.size, self.folder, self.blows = pool, size, folder, blows
        self._number = 0
        self._quit = threading.Event()
        self.running = [self._start() for _ in range(count)]
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def kill(self, chance: random.Random) -> None:
        """Send SIGKILL: mostly to one child, sometimes to a worker or only its parent; with threads, to the worker."""
        worker, children = self._at_work(chance)
        kind = chance.choices(("child", "worker", "parent"), (8, 1, 1))[0]
        if kind == "parent" or not children:
            victims = [worker]
        else:
            victims = [chance.choice(children)] if kind == "child" else [*children, worker]
        self.blows.struck("kill", victims)
        _signal(victims, signal.SIGKILL)

    def stall(self, chance: random.Random, seconds: float) -> None:
        """Send SIGSTOP to one child or to a whole worker, and SIGCONT after `seconds`, which exceed its lease."""
        worker, children = self._at_work(chance)
        victims = [chance.choice(children)] if children and chance.random() < 0.7 else [*children, worker]
        self.blows.struck("stall", victims, seconds)
        _signal(victims, signal.SIGSTOP)
        threading.Timer(seconds, _signal, (victims, signal.SIGCONT)).start()

    def stop(self) -> None:
        """Kill all workers."""
        self._quit.set()
        self._keeper.join()
        for worker in self.running:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGCONT)
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

    def _at_work(self, chance: random.Random) -> tuple[int, list[int]]:
        """Return a worker that is up, and its children. Waits until another one is up as well.

        A fault that hits nothing would not count, and tasks are only expected to continue while some worker lives.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            up = [worker.pid for worker in self.running if worker.poll() is None and self._is_up(worker.pid)]
            if len(up) > 1:
                chosen = chance.choice(up)
                return chosen, _children(chosen)
            time.sleep(0.1)
        raise SystemExit("the workers do not come up: see workers.log")

    def _is_up(self, pid: int) -> bool:
        """Return whether no process of the worker is stopped and it has all its children (threads, without prefork).

        Until it has them, it is importing.
        """
        children = _children(pid)
        if any(map(_is_stopped, [pid, *children])):
            return False
        if self.pool == "prefork":
            return len(children) == self.size
        with suppress(OSError):
            return len(os.listdir(f"/proc/{pid}/task")) > 1
        return False

    def _keep(self) -> None:
        while not self._quit.wait(0.1):
            for place, worker in enumerate(self.running):
                if worker.poll() is not None:
                    self.running[place] = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._number += 1
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "agentsite", "worker"]
        command += ["-c", str(self.size), "-n", f"chaos{self._number}@%h"]
        # Set by the setting, because Celery's `-P prefork` does not override it.
        environment = os.environ | {"WORKER_POOL": self.pool}
        with open(self.folder / "workers.log", "ab") as log:
            return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment, start_new_session=True)


def _is_stopped(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


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
