"""Supervisor that keeps processes running and shows their output. `manage.py dev` becomes it after the setup.

It uses only the standard library and runs as a plain file (`python -P devserver/supervisor.py < plan.json`), because as
a module of the package it would keep Django and Celery in memory. See docs/decisions/0001-process-supervisor.md.
"""

import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from types import FrameType

FIRST_DELAY = 0.5  # seconds before a part that died starts again; doubles with each early death
LONGEST_DELAY = 10.0  # seconds
STEADY_AFTER = 30.0  # seconds of life after which a part counts as healthy again
STOP_SECONDS = 15.0  # between SIGTERM and SIGKILL
ORPHAN_SECONDS = 8.0  # the same for parts whose supervisor was killed
TICK = 0.25  # seconds; the longest time that a dead part goes unnoticed, and the interval between requests to /health
PIPE_CHUNK = 65536  # bytes; longer lines are split
NAME_WIDTH = 7
PR_SET_PDEATHSIG = 1  # linux/prctl.h

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Part:
    """A process to keep running. A `last` part stops after the others, which may need it to finish."""

    name: str
    command: list[str]
    last: bool = False
    ready_mark: str = ""


@dataclass(frozen=True)
class Plan:
    """Parts to run, and how to tell that they are ready.

    `ready` is printed once, when each part has printed its `ready_mark` and the port answers. Port 0 is not checked.
    """

    parts: list[Part]
    address: str = "127.0.0.1"
    port: int = 0
    host: str = "127.0.0.1"
    ready: str = ""
    stop_seconds: float = STOP_SECONDS

    def to_json(self) -> str:
        """Serialize the plan for the supervisor's standard input."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """Parse a plan written by `to_json`."""
        values = json.loads(text)
        return cls(**{**values, "parts": [Part(**part) for part in values["parts"]]})


def _bind_to_parent(parent: int) -> None:
    """Ask the kernel for a SIGTERM when the supervisor ends, even by kill -9. Runs in the new process."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # the supervisor ended before the call to prctl
        os._exit(1)


class _Guard:
    """Process that outlives the supervisor just long enough to kill parts that have not stopped.

    The kernel's SIGTERM lets a part finish its work, and a tool call may never end.
    """

    def __init__(self, patience: float) -> None:
        reading, self._writing = os.pipe()
        if os.fork() == 0:
            os.close(self._writing)
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):  # a reader of our output must not wait for this process
                os.dup2(nothing, descriptor)
            self._watch(reading, patience)
            os._exit(0)
        os.close(reading)

    def tell(self, sign: str, pid: int) -> None:
        """Report that a process group has started (`+`) or is gone (`-`)."""
        with suppress(OSError):
            os.write(self._writing, f"{sign}{pid}\n".encode())

    @staticmethod
    def _watch(reading: int, patience: float) -> None:
        groups: set[int] = set()
        with os.fdopen(reading) as told:  # reaches its end when the supervisor ends, even by kill -9
            for line in told:
                (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
        if _libc is None:
            _signal_groups(groups, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and _signal_groups(groups, 0):
            time.sleep(TICK)
        _signal_groups(groups, signal.SIGKILL)


def _signal_groups(groups: set[int], number: int) -> int:
    """Send the signal to the process groups and return how many of them exist."""
    count = 0
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            count += 1
    return count


@dataclass
class _Output:
    """Output of one process, split into prefixed lines for the terminal."""

    prefix: bytes
    pipe: int
    awaited: bytes = b""  # text that marks the process as ready; empty once it has appeared
    rest: bytes = b""
    open: bool = True

    def lines(self, data: bytes) -> bytes:
        """Add data and return the lines that can be printed now. Empty data marks the end of the output."""
        *whole, self.rest = (self.rest + data).split(b"\n")
        if not data or len(self.rest) > PIPE_CHUNK:
            whole, self.rest = [*whole, self.rest], b""
        if self.awaited and any(self.awaited in line for line in whole):
            self.awaited = b""
        return b"".join(self.prefix + line + b"\n" for line in whole if line)


@dataclass
class _Child:
    """A part and its process, if it is running."""

    part: Part
    process: subprocess.Popen[bytes] | None = None
    output: _Output | None = None
    told_to_stop: bool = False
    started: float = 0.0
    start_at: float = 0.0  # when to start it, by the monotonic clock
    delay: float = FIRST_DELAY

    def signal_group(self, number: int) -> None:
        if self.process is not None:
            _signal_groups({self.process.pid}, number)


@dataclass
class Supervisor:
    """Supervisor that runs a plan until a signal stops it."""

    plan: Plan
    stopping: bool = False
    kill_at: float = float("inf")  # by the monotonic clock; moves to now with a second Ctrl-C
    killed: bool = False

    def __post_init__(self) -> None:
        self.children = [_Child(part) for part in self.plan.parts]
        self._selector = selectors.DefaultSelector()
        self._ready = False
        self._look_at = 0.0  # when to request /health again
        self._asking = False  # a request to /health has no answer yet
        self._width = max([NAME_WIDTH, *(len(part.name) for part in self.plan.parts)])

    def run(self) -> int:
        """Keep the parts running until SIGINT, SIGTERM or SIGHUP. Return 0, or 1 when a part had to be killed."""
        self._guard = _Guard(min(self.plan.stop_seconds, ORPHAN_SECONDS))
        with self._signals():
            while not self.stopping or any(child.process for child in self.children):
                self._start_due()
                self._look_for_ready()
                for key, _ in self._selector.select(TICK):
                    key.data()
                self._reap()
                if self.stopping:
                    self._stop()
        return 1 if self.killed else 0

    # Starting and restarting

    def _start_due(self) -> None:
        for child in self.children:
            if child.process is None and not self.stopping and time.monotonic() >= child.start_at:
                self._start(child)

    def _start(self, child: _Child) -> None:
        supervisor = os.getpid()
        child.started = time.monotonic()
        try:
            child.process = subprocess.Popen(
                child.part.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the terminal's Ctrl-C reaches only us, and kills reach the whole group
                preexec_fn=lambda: _bind_to_parent(supervisor),  # safe: this process has one thread
            )
        except OSError as error:
            self._put_off(child, f"cannot start: {error}")
            return
        self._guard.tell("+", child.process.pid)
        assert child.process.stdout is not None
        prefix = f"{child.part.name:<{self._width}} | ".encode()
        output = _Output(prefix, os.dup(child.process.stdout.fileno()), child.part.ready_mark.encode())
        child.process.stdout.close()
        child.output = output
        os.set_blocking(output.pipe, False)
        self._selector.register(output.pipe, selectors.EVENT_READ, lambda: self._read(output))

    def _reap(self) -> None:
        for child in self.children:
            if child.process is None or (status := child.process.poll()) is None:
                continue
            child.signal_group(signal.SIGKILL)  # processes that it left behind would keep its port or its work
            self._guard.tell("-", child.process.pid)
            child.process = None
            if child.output is not None:
                self._read_to_the_end(child.output)
            if not self.stopping:
                reason = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
                self._put_off(child, f"ended by {reason}")

    def _put_off(self, child: _Child, reason: str) -> None:
        now = time.monotonic()
        if now - child.started >= STEADY_AFTER:
            child.delay = FIRST_DELAY
        self.say(f"{child.part.name} {reason}; starting it again in {child.delay:g} s")
        child.start_at = now + child.delay
        child.delay = min(child.delay * 2, LONGEST_DELAY)

    # Output

    def say(self, text: str) -> None:
        """Print one of the supervisor's own lines."""
        self._write(f"{'dev':<{self._width}} | {text}\n".encode())

    def _write(self, data: bytes) -> None:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError:  # the terminal is gone, so that no Ctrl-C could stop us any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python tries again as it ends: status 120
            self.stopping = True

    def _read(self, output: _Output) -> bool:
        """Print the available output and return whether there may be more."""
        try:
            data = os.read(output.pipe, PIPE_CHUNK)
        except BlockingIOError:
            return False
        self._write(output.lines(data))
        if not data:
            self._close(output)
        return output.open

    def _read_to_the_end(self, output: _Output) -> None:
        while output.open and self._read(output):
            pass
        if output.open:  # a process that left the group still holds the other end
            self._write(output.lines(b""))
            self._close(output)

    def _close(self, output: _Output) -> None:
        self._selector.unregister(output.pipe)
        os.close(output.pipe)
        output.open = False

    # Readiness

    def _look_for_ready(self) -> None:
        if self._ready or self.stopping or self._asking or time.monotonic() < self._look_at:
            return
        if any(child.output is None or child.output.awaited for child in self.children):
            return
        self._look_at = time.monotonic() + TICK
        if not self.plan.port:
            self._announce()
            return
        try:
            connection = socket.create_connection((self.plan.address, self.plan.port), timeout=TICK)
            connection.sendall(f"GET /health HTTP/1.0\r\nHost: {self.plan.host}\r\n\r\n".encode())
        except OSError:
            return
        self._asking = True
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._take_answer(connection))

    def _take_answer(self, connection: socket.socket) -> None:
        self._asking = False
        self._selector.unregister(connection)
        with connection, suppress(OSError):
            answer = connection.recv(64)
            # A client error (such as a host name that is not allowed) is an answer, too; a server error is none.
            if answer.startswith(b"HTTP/") and answer.split(b" ")[1][:1] != b"5":
                self._announce()

    def _announce(self) -> None:
        self._ready = True
        if self.plan.ready:
            self._write(f"{self.plan.ready}\n".encode())

    # Stopping

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Make every signal wake up `select`, so that it is handled without waiting for a tick."""
        reading, writing = socket.socketpair()
        writing.setblocking(False)
        self._selector.register(reading, selectors.EVENT_READ, lambda: reading.recv(4096))
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup: outlive the terminal
                signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        with reading, writing:
            yield
            signal.set_wakeup_fd(-1)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        # Only a second Ctrl-C kills at once: `make` forwards a SIGTERM that the whole group may already have received.
        if self.stopping and number == signal.SIGINT:
            self.kill_at = 0
        self.stopping = True

    def _stop(self) -> None:
        now = time.monotonic()
        if self.kill_at == float("inf"):
            self.kill_at = now + self.plan.stop_seconds
            self.say("stopping; press Ctrl-C again to stop immediately")
        if now >= self.kill_at:
            self.killed = True
            for child in self.children:
                child.signal_group(signal.SIGKILL)
            return
        others_run = any(child.process and not child.part.last for child in self.children)
        for child in self.children:
            if child.process and not child.told_to_stop and not (child.part.last and others_run):
                child.told_to_stop = True
                child.process.terminate()


if __name__ == "__main__":
    sys.exit(Supervisor(Plan.from_json(sys.stdin.read())).run())
