"""Benchmark of the whole service beside what it can't be faster than, in one run and on one table.

    python benchmarks/bench.py [--rounds 5] [--runs 100] [--only full-way] [--full] [--quick]

Starts its own PostgreSQL and Redis, a model that answers at once, and web server and worker as the documentation starts
them, with all guards. Exits with 1 if a figure is not what is required of it; with --quick only if something fails.
"""

import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import redis

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.speed import api, full_way, waiting  # noqa: E402
from benchmarks.speed.options import Options, parse  # noqa: E402
from benchmarks.speed.processes import Failed  # noqa: E402
from benchmarks.speed.stack import Stack  # noqa: E402
from benchmarks.speed.table import Row, render  # noqa: E402


def measure(stack: Stack, options: Options) -> Iterator[Row]:
    """Yield the rows of all measures that are wanted."""
    with stack.web() as web:
        if options.wants("post"):
            yield api.post_row(stack, options, web)
            stack.clear()
        if any(map(options.wants, ("full-way", "status", "approve", "in-flight"))):
            with stack.worker({"BENCH_SLEEP": f"{options.in_flight_sleep}"}) as worker:
                bare = full_way.bare_graph(stack) if options.wants("full-way") else None
                way = full_way.FullWay(stack, options, web, worker)
                way.warm_up()  # which also waits until the worker has begun
                if bare is not None:
                    yield from full_way.on_servers(way, bare)
                if options.wants("status"):
                    yield api.status_row(stack, options, web)
                if options.wants("approve"):
                    yield api.approve_row(stack, options, web[0])
                if options.wants("in-flight"):
                    yield waiting.in_flight_row(stack, options, web[0], worker)
            stack.clear()
        if options.wants("waiting"):
            yield waiting.waiting_row(stack, options, web[0])
    if options.wants("sqlite"):
        stack.use_files()
        yield from full_way.on_files(stack, options)


def machine(stack: Stack) -> str:
    """Describe the versions and the machine."""
    with stack.admin("postgres") as connection:
        postgres = str(connection.info.server_version // 10_000)
    broker: Any = redis.Redis(port=stack.redis.port).info("server")
    versions = {
        "Python": platform.python_version(),
        **{name: version(name.lower()) for name in ("Django", "LangGraph", "Celery", "gunicorn")},
        "PostgreSQL": postgres,
        "Redis": broker["redis_version"],
    }
    processor = next(
        (line.partition(":")[2].strip() for line in lines_of("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    memory = int(lines_of("/proc/meminfo")[0].split()[1]) / 1024**2
    load = os.getloadavg()[0]
    return (
        ", ".join(f"{name} {number}" for name, number in versions.items())
        + f"\n{len(os.sched_getaffinity(0))} cores, {processor}, {memory:.0f} GB, load {load:.1f} before it began"
    )


def lines_of(path: str) -> list[str]:
    """Return the lines of a file."""
    return Path(path).read_text().splitlines()


@contextmanager
def bounded(seconds: int) -> Iterator[None]:
    """Raise Failed in the block after so many seconds, or at SIGTERM. After the first Ctrl-C, others are ignored."""

    def end(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Failed(f"stopped after {seconds} s at most" if number == signal.SIGALRM else "stopped")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def main() -> int:
    """Print the table. Returns 1 if a figure is not what is required."""
    options = parse((__doc__ or "").splitlines()[0])
    begun = time.monotonic()
    rows: list[Row] = []
    with bounded(options.limit), tempfile.TemporaryDirectory(prefix="agentsite-bench-") as name, ExitStack() as exits:
        stack = Stack(Path(name), options.seed, exits, options.wants("sqlite"))
        about = machine(stack)
        print(about, flush=True)
        for row in measure(stack, options):
            rows.append(row)
            print(f"{time.monotonic() - begun:5.0f} s  " + "  ".join(filter(None, row.cells())), flush=True)
    print(f"\nseed {options.seed}, {options.rounds} rounds of {options.runs} runs, {options.clients} clients")
    print(f"{about}\n\n{render(rows)}")
    return int(any(row.mark == "–" for row in rows) and not options.is_quick)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
