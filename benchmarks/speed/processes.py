"""Child processes of a benchmark: start, ask and stop them, and read what they have used."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from typing_extensions import override

ROOT = Path(__file__).resolve().parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")  # of the kernel's clock, a second
LOG_TAIL = 3000  # characters of a log that are shown when its process fails


class Failed(SystemExit):
    """Error that ends the benchmark with a message."""


class Child:
    """A process in a session of its own, so that Ctrl-C reaches only the benchmark, which then stops its children."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = self._start(command, dict(environment), log)

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def require_alive(self) -> None:
        """Raise Failed, with the end of its log, if the process has ended."""
        if self.process.poll() is not None:
            raise Failed(f"{self.name} has ended ({self.process.returncode}):\n{self.tail()}")

    def tail(self) -> str:
        """Return the end of the log."""
        return self.log.read_text(errors="replace")[-LOG_TAIL:]

    def stop(self, patience: float = 10.0) -> None:
        """Ask the process to end, and kill it and its children after `patience` seconds."""
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        self.kill()

    def kill(self) -> None:
        """Kill the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def _start(self, command: Sequence[str], environment: dict[str, str], log: Any) -> "subprocess.Popen[bytes]":
        given: dict[str, Any] = {"cwd": ROOT, "env": environment, "start_new_session": True}
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **given)


class Peer(Child):
    """A process of ours that answers one line of JSON with another. It runs one of these modules."""

    def __init__(self, module: str, args: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", f"benchmarks.speed.{module}", *args]
        super().__init__(f"{module}-{time.monotonic_ns()}", command, folder, environment)

    def ask(self, patience: float, **command: Any) -> Any:
        """Return the answer to a command. Raises Failed after `patience` seconds, or if the process ends."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
        ready = select.select([self.process.stdout], [], [], patience)[0]
        line = self.process.stdout.readline() if ready else b""
        if not line:
            told = "has failed" if ready else f"has not answered within {patience:.0f} s"
            raise Failed(f"{self.name} {told}, asked {command}:\n{self.tail()}")
        return json.loads(line)

    @override
    def _start(self, command: Sequence[str], environment: dict[str, str], log: Any) -> "subprocess.Popen[bytes]":
        given: dict[str, Any] = {"cwd": ROOT, "env": environment, "start_new_session": True}
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, **given)


def answer_commands(commands: Mapping[str, Callable[..., Any]]) -> None:
    """Answer the lines of a `Peer` until there are no more. `do` names the function, the rest are its arguments."""
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(commands[command.pop("do")](**command)), flush=True)


def run(command: Sequence[str], environment: Mapping[str, str], seconds: float = 180.0) -> str:
    """Return what a command has printed. Raises Failed if it fails or takes too long."""
    given: dict[str, Any] = {"cwd": ROOT, "env": dict(environment), "start_new_session": True, "text": True}
    process: subprocess.Popen[str] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **given)
    try:
        out, problems = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(command)}: not done within {seconds:.0f} s") from error
    finally:
        process.kill()
    if process.returncode:
        raise Failed(f"{' '.join(command)}:\n{(out + problems)[-LOG_TAIL:]}")
    return out


def wait_until(done: Callable[[], bool], seconds: float, what: str, every: float = 0.1) -> None:
    """Wait for a condition. Raises Failed after `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process, its descendants, and those that have ended and were waited for."""
    return sum(_stat(member)[1] for member in family(pid))


def memory_mb(pid: int) -> float:
    """Return the memory of a process and its descendants in MB. Shared pages count once."""
    kilobytes = 0
    for member in family(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
            kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def family(pid: int) -> list[int]:
    """Return the process ids of a process and its living descendants."""
    parents = {member: _stat(member)[0] for member in map(int, filter(str.isdigit, os.listdir("/proc")))}
    found = [pid]
    for member in found:  # grows as it goes
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _stat(pid: int) -> tuple[int, float]:
    """Return the parent of a process, and the CPU seconds of it and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    return int(fields[1]), sum(map(int, fields[11:15])) / TICK
