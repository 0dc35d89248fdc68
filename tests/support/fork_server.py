"""A process that has imported the libraries of a worker, and forks workers from it: each is ready 3 s of CPU earlier.

A forked worker is a process like any other: it has its own pid, environment, folder and output, and dies by `kill -9`.
Nothing of this project is imported before the fork, so whatever reads the environment reads that of the worker. Workers
of the same environment can share a template, which is forked first and has set Django up with that environment.

Run as `python -m tests.support.fork_server` it reads requests from its standard input, a JSON object a line, and
answers each by a line. It ends with its input, and takes along whatever it has forked.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

LIBRARIES = (
    *("celery.bin.celery", "celery.apps.worker", "celery.concurrency.thread", "celery.concurrency.prefork"),
    *("kombu.transport.filesystem", "kombu.transport.redis", "django.db.backends.sqlite3.base", "django.forms"),
    *("psycopg", "psycopg_pool", "jsonschema", "regex", "tenacity", "structlog", "prometheus_client", "tiktoken"),
    *("langchain.agents", "langchain.chat_models", "langchain_openai", "openai.resources.chat", "langgraph.graph"),
    *("langgraph.prebuilt", "langgraph.checkpoint.sqlite", "langgraph.checkpoint.postgres", "langgraph.store.base"),
)


# Of the project, for a template: what a worker has imported when it has run its first task.
PROJECT = ("agentsite.celery", "agents.worker.jobs", "agents.runtime.runner", "agents.runtime.graphs.react")
LATE = {"ORACLE", "PYTEST_CURRENT_TEST"}  # variables that are read when they are used: workers of a template may differ


class Forked:
    """A process that was forked, with what tests use of `subprocess.Popen`."""

    def __init__(self, server: "ForkServer", pid: int, template: dict[str, Any] | None) -> None:
        self.server, self.pid, self.template = server, pid, template
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs; of a process that was killed the negative signal."""
        if self.returncode is None:
            self.returncode = self.server.ask(template=self.template, poll=self.pid)["code"]
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

    def start(
        self, module: str, *args: str, cwd: Path, env: dict[str, str], log: Path, from_template: bool = False
    ) -> Forked:
        """Run a module as `python -m` does, in a process of its own; its output goes to the file."""
        shared = {"cwd": str(cwd), "env": {name: value for name, value in env.items() if name not in LATE}}
        template = shared if from_template else None
        answer = self.ask(template=template, module=module, args=args, cwd=str(cwd), env=env, log=str(log))
        return Forked(self, answer["pid"], template)


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
    serve(sys.stdin, answers)


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are none, then end what was forked and runs on."""
    ended: dict[int, int] = {}
    alive: set[int] = set()
    templates: dict[str, Template] = {}
    for line in requests:
        request = json.loads(line)
        if of := request.pop("template"):
            key = json.dumps(of, sort_keys=True)
            template = templates.get(key) or templates.setdefault(key, Template(of))
            answer = template.ask({"template": None, **request})
        elif "poll" in request:
            reap(alive, ended)
            answer = {"code": ended.get(request["poll"])}
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
        os.waitpid(pid, 0)
    for template in templates.values():
        template.end()


class Template:
    """A fork that has set the project up with an environment, and forks workers in its turn."""

    def __init__(self, of: dict[str, Any]) -> None:
        there, back = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(there[1])
            os.close(back[0])
            try:
                enter(of)
                import_module("django").setup()
                for name in PROJECT:
                    import_module(name)
                assert threading.active_count() == 1, threading.enumerate()  # a fork would have none of the others
                serve(os.fdopen(there[0]), os.fdopen(back[1], "w"))
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(0)
        os.close(there[0])
        os.close(back[1])
        self.requests, self.answers = os.fdopen(there[1], "w"), os.fdopen(back[0])

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Hand a request on, and return its answer."""
        self.requests.write(json.dumps(request) + "\n")
        self.requests.flush()
        return dict(json.loads(self.answers.readline()))

    def end(self) -> None:
        """Let it end with what it has forked."""
        self.requests.close()
        os.waitpid(self.pid, 0)


def reap(alive: set[int], ended: dict[int, int]) -> None:
    """Note the exit statuses of the processes that have ended."""
    for pid in list(alive):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended[pid] = os.waitstatus_to_exitcode(status)
            alive.discard(pid)


def enter(place: dict[str, Any]) -> None:
    """Take over the folder, the environment and the path of a process."""
    os.environ.clear()
    os.environ.update(place["env"])
    os.chdir(place["cwd"])
    path = place["env"].get("PYTHONPATH", "")
    more = [place["cwd"], *(part for part in path.split(os.pathsep) if part)]
    sys.path[:0] = [part for part in more if part not in sys.path]


def become(request: dict[str, Any]) -> None:
    """Turn this fork into the process that was asked for. Never returns."""
    code = 1
    try:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for number, stream in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(number, stream)
        os.closerange(3, 64)  # also the ends of the server's own pipes
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", buffering=1), open(2, "w", buffering=1)  # noqa: SIM115
        enter(request)
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
