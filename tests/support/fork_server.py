"""A process that has imported the libraries of a worker, and forks workers from it: each is ready 3 s of CPU earlier.

A forked worker is a process like any other: it has its own pid, environment, folder and output, and dies by `kill -9`.
Nothing of this project is imported before the fork, so whatever reads the environment reads that of the worker.

Run as `python -m tests.support.fork_server` it reads requests from its standard input, a JSON object a line, and
answers each by a line. It ends with its input, and takes along whatever it has forked.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

LIBRARIES = (
    *("celery.bin.celery", "celery.apps.worker", "celery.concurrency.thread", "celery.concurrency.prefork"),
    *("kombu.transport.filesystem", "kombu.transport.redis", "django.db.backends.sqlite3.base", "django.forms"),
    *("psycopg", "psycopg_pool", "jsonschema", "regex", "tenacity", "structlog", "prometheus_client", "tiktoken"),
    *("langchain.agents", "langchain.chat_models", "langchain_openai", "openai.resources.chat", "langgraph.graph"),
    *("langgraph.prebuilt", "langgraph.checkpoint.sqlite", "langgraph.checkpoint.postgres", "langgraph.store.base"),
)


class Forked:
    """A process that was forked, with what tests use of `subprocess.Popen`."""

    def __init__(self, server: "ForkServer", pid: int) -> None:
        self.server, self.pid = server, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs; of a process that was killed the negative signal."""
        if self.returncode is None:
            self.returncode = self.server.ask(poll=self.pid)["code"]
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status. Raises TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The test's side of the process that forks."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def start(self, module: str, *args: str, cwd: Path, env: dict[str, str], log: Path) -> Forked:
        """Run a module as `python -m` does, in a process of its own; its output goes to the file."""
        answer = self.ask(module=module, args=args, cwd=str(cwd), env=env, log=str(log))
        return Forked(self, answer["pid"])


@contextmanager
def running(root: Path) -> Iterator[ForkServer]:
    """A fork server that lives as long as the block."""
    env = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"}  # as the settings say; LangGraph reads it when imported
    command = [sys.executable, "-m", "tests.support.fork_server"]
    process = subprocess.Popen(command, cwd=root, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield ForkServer(process)
        assert process.stdin is not None
        process.stdin.close()


def main() -> None:
    """Answer requests until there are none."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    for name in LIBRARIES:
        import_module(name)
    ended: dict[int, int] = {}
    alive: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            reap(alive, ended)
            answer: dict[str, Any] = {"code": ended.get(request["poll"])}
        else:
            pid = os.fork()
            if pid == 0:
                become(request)
            alive.add(pid)
            answer = {"pid": pid}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in alive:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def reap(alive: set[int], ended: dict[int, int]) -> None:
    """Note the exit statuses of the processes that have ended."""
    for pid in list(alive):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended[pid] = os.waitstatus_to_exitcode(status)
            alive.discard(pid)


def become(request: dict[str, Any]) -> None:
    """Turn this fork into the process that was asked for. Never returns."""
    code = 1
    try:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for number, stream in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(number, stream)
        os.closerange(3, 64)  # also the ends of the server's own pipes
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", buffering=1), open(2, "w", buffering=1)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        path = request["env"].get("PYTHONPATH", "")
        sys.path[:0] = [request["cwd"], *(part for part in path.split(os.pathsep) if part)]
        sys.argv = [request["module"], *request["args"]]
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for output in (sys.stdout, sys.stderr):
            with suppress(Exception):
                output.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
