"""Measure what a task leaves in PostgreSQL, and what a worker holds while its tasks wait: bytes, connections, memory.

    python benchmarks/table_growth.py --runs 400

Starts everything it needs, as `make bench` does. A run is two turns of the model and one free call. Prints one line on
the processes, and the bytes a run for each table with its indexes: packed (after VACUUM FULL), and as they stand.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.speed.processes import Child, memory_mb, wait_until  # noqa: E402
from benchmarks.speed.stack import SERVICE, Stack, figures_of  # noqa: E402

SIZES = """
    SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
CONNECTIONS = "SELECT usename, count(*) FROM pg_stat_activity WHERE usename IN ('web', 'worker') GROUP BY 1"
IN_FLIGHT = 200  # tasks that wait for their model
SLEEP = 20.0  # seconds


def sizes(stack: Stack, vacuum: str = "VACUUM FULL") -> dict[str, tuple[int, int]]:
    """Return the bytes of each table and of its indexes."""
    with stack.admin(SERVICE) as connection:
        connection.execute(vacuum)
        return {name: (table, indexes) for name, table, indexes in connection.execute(SIZES)}


def connections(stack: Stack) -> dict[str, int]:
    """Return the open connections of the web server and the worker."""
    with stack.admin(SERVICE) as connection:
        return dict(connection.execute(CONNECTIONS).fetchall())


def waiting(stack: Stack, url: str, worker: Child) -> str:
    """Describe a worker at rest, and with IN_FLIGHT tasks that wait for their model."""
    stack.load.ask(60, do="closed", url=url, runs=1, clients=1)
    rest, before = memory_mb(worker.pid), connections(stack)
    stack.load.ask(300, do="submit", url=url, tasks=IN_FLIGHT, clients=16, agent="waiting")
    wait_until(
        lambda: figures_of(stack.model_url)["waiting"] >= IN_FLIGHT, 60, "the tasks are not in flight", every=0.1
    )
    time.sleep(5)  # for the connections of their start to be given back
    loaded, held = memory_mb(worker.pid), connections(stack)
    most: dict[str, int] = {}
    deadline = time.monotonic() + 2 * SLEEP + 20
    while time.monotonic() < deadline:
        for name, count in connections(stack).items():
            most[name] = max(most.get(name, 0), count)
        time.sleep(0.2)
    return (
        f"worker: {rest:.0f} MB and {before.get('worker', 0)} connections at rest, {loaded:.0f} MB and "
        f"{held.get('worker', 0)} with {IN_FLIGHT} tasks that wait, at most {most.get('worker', 0)} as they go on; "
        f"web server (1 process, 8 threads): at most {most.get('web', 0)}"
    )


def growth(stack: Stack, runs: int, **command: Any) -> list[str]:
    """Run tasks, each in a session of its own. Returns a line for each table that has grown, and for all."""
    before = sizes(stack)
    stack.load.ask(300, runs=runs, **command)
    loose, after = sizes(stack, "VACUUM"), sizes(stack)
    lines, total, kept = [], 0.0, 0.0
    for name, (table, indexes) in sorted(after.items(), key=lambda item: -sum(item[1])):
        own, rest = (table - before[name][0]) / runs, (indexes - before[name][1]) / runs
        loosely = (sum(loose[name]) - sum(before[name])) / runs
        if own + rest > 0:
            lines.append(f"{name:36} {own:7.0f} {rest:7.0f} {own + rest:7.0f} {loosely:7.0f}")
            total, kept = total + own + rest, kept + (0.0 if name.startswith("checkpoint") else own + rest)
    head = f"{'bytes a run':36} {'table':>7} {'indexes':>7} {'both':>7} {'loose':>7}"
    return [head, *lines, f"{runs} runs: {total:.0f} bytes a run, {kept:.0f} without checkpoints"]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=400, help="with a free call")
    parser.add_argument("--reviewed", type=int, default=60, help="with a call that a person approves")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agentsite-growth-") as name, ExitStack() as exits:
        stack = Stack(Path(name), 1, exits, with_files=False)
        with stack.web() as (url, _), stack.worker({"BENCH_SLEEP": f"{SLEEP}"}) as worker:
            print(waiting(stack, url, worker), flush=True)
        stack.clear()
        with stack.web() as (url, _), stack.worker():
            stack.load.ask(60, do="closed", url=url, runs=20, clients=4)  # so that the first pages are there
            print(*growth(stack, given.runs, do="closed", url=url, clients=16), sep="\n", flush=True)
            print(f"the same with {given.reviewed} runs whose call is reviewed")
            print(
                *growth(stack, given.reviewed, do="approve", url=url, started=str(stack.folder / "started")), sep="\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
