"""Benchmark of lease, fence and ledger: CPU of the worker's process for a run with and without them, side by side.

    python benchmarks/cost_of_guards.py [--pairs 10] [--runs 25]

Creates its own test database (of DATABASE_URL, or SQLite in a temporary folder) and drops it again. A run is a task
with two tool calls and two answers of the rule model, which is a separate process. Exits with 1 if the ratio is above
1.25.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")
# Without DEBUG, because with it Django keeps every statement.
os.environ |= {"DEBUG": "false", "SECRET_KEY": "x" * 50, "LOG_LEVEL": "CRITICAL"}
os.environ |= {"OPENAI_BASE_URL": "http://set.by.serving/v1", "OPENAI_API_KEY": "demo", "AGENT_MODEL": "openai:demo"}
os.environ |= {"TASKS_IN_FLIGHT_PER_USER": "0", "TASKS_IN_FLIGHT_PER_PRINCIPAL": "0"}
os.environ.setdefault("AGENTSITE_DATA", tempfile.mkdtemp(prefix="agentsite-benchmark-"))

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import setup_test_environment, teardown_test_environment  # noqa: E402

from agents import broker, services  # noqa: E402
from agents.checkpoints import fenced_saver  # noqa: E402
from agents.models import Attempt, Status, Task, ToolCall  # noqa: E402
from agents.state import tasks, tool_calls  # noqa: E402
from agents.worker import heartbeat, jobs  # noqa: E402
from benchmarks.chaos_tools import unfenced  # noqa: E402

ALLOWED = 1.25
QUERY = "multiply 6 by 7 and multiply 2 by 3"


@contextmanager
def model() -> Iterator[None]:
    """Run the rule model in a separate process, so that its CPU is not measured."""
    command = [sys.executable, "-m", "demo.model_server", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        settings.OPENAI_BASE_URL = os.environ["OPENAI_BASE_URL"] = process.stdout.readline().split()[-1]
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def without_guards() -> Iterator[None]:
    """Remove attempt, lease, fence and ledger inside the block. The agent and the statuses stay the same."""

    def claim(task_pk: Any, worker: str) -> Attempt | None:
        rows = Task.objects.filter(pk=task_pk, status=Status.PENDING)
        if not rows.update(status=Status.RUNNING, has_thread=True):
            return None
        return Attempt(task=Task.objects.get(pk=task_pk), worker=worker)

    def held(attempt: Attempt) -> Task:
        return Task.objects.get(pk=attempt.task_id)

    def enter(attempt: Attempt, entry: tool_calls.Entry) -> ToolCall:
        return ToolCall(tool=entry.tool, args_text=entry.args_text, task_id=attempt.task_id)

    def close(row: ToolCall, status: str, result_text: str) -> bool:
        return True

    def end(attempt: Attempt, task: Task, outcome: str, status: str, **values: Any) -> None:
        tasks._move(task, status, **values)

    @contextmanager
    def keeping(self: heartbeat.Heart, attempt: Attempt) -> Iterator[threading.Event]:
        yield threading.Event()

    def nothing(*given: Any) -> None:
        return None

    with ExitStack() as taken_out:
        for where, name, instead in (
            (tasks, "claim", claim),
            (tasks, "_held", held),
            (tasks, "_end", end),
            (fenced_saver, "saver_of", unfenced),
            (heartbeat.Heart, "keeping", keeping),
            (tool_calls, "find", nothing),
            (tool_calls, "enter", enter),
            (tool_calls, "close", close),
        ):
            taken_out.enter_context(mock.patch.object(where, name, instead))
        yield


def cpu_of(runs: int, client: User) -> float:
    """Return the CPU seconds of this process for `runs` runs. Submitting them is not included."""
    submission = services.Submission(query=QUERY, user_id="ann")
    found = [services.submit(submission, client) for _ in range(runs)]
    before = time.process_time()
    for task in found:
        jobs.run(str(task.pk))
    spent = time.process_time() - before
    ended = Task.objects.filter(pk__in=[task.pk for task in found], status=Status.COMPLETED)
    answers = sum("42" in str(task.result) and "6" in str(task.result) for task in ended)
    if answers != runs:
        raise SystemExit(f"only {answers} of {runs} runs gave the right answer")
    return spent


def measure(pairs: int, runs: int) -> list[tuple[float, float]]:
    """Return the CPU seconds with and without guards, for each pair of blocks. The order in a pair is random."""
    client = User.objects.create_user("client", is_superuser=True)
    measured = []
    for _ in range(pairs):
        pair = [0.0, 0.0]
        for which in random.sample((0, 1), 2):
            with ExitStack() as stack:
                if which:
                    stack.enter_context(without_guards())
                pair[which] = cpu_of(runs, client)
        measured.append((pair[0], pair[1]))
    return measured


def main() -> int:
    """Print both times and their ratio. Returns 1 if the ratio is above the bound."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=25, help="runs in each block")
    given = parser.parse_args()
    setup_test_environment()
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        with model(), broker.silence():  # the jobs are called directly
            measure(1, 5)  # warm-up: clients, pools, prepared statements
            User.objects.all().delete()
            measured = measure(given.pairs, given.runs)
    finally:
        heartbeat.heart().stop()
        fenced_saver.close_pools()
        connection.creation.destroy_test_db(name, verbosity=0)
        teardown_test_environment()
    ratio = statistics.median(one / other for one, other in measured)
    with_, without = (statistics.median(column) * 1000 / given.runs for column in zip(*measured, strict=True))
    print(
        f"{connection.vendor}: CPU of a run {with_:.1f} ms with lease, fence and ledger, {without:.1f} ms without: "
        f"x {ratio:.2f} (median of {given.pairs} pairs of {given.runs} runs; allowed {ALLOWED})"
    )
    return int(ratio > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
