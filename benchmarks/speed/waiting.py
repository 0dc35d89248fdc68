"""Tasks that wait for their model: how many a default worker holds, and how long many of them take."""

import time

from benchmarks.speed.options import Options
from benchmarks.speed.processes import Child, Failed, memory_mb, wait_until
from benchmarks.speed.stack import SERVICE, Stack, figures_of
from benchmarks.speed.table import Bound, Figure, Row, number

FULL = (500, 20.0)  # tasks and seconds for which the bound is meant
STARTS = 60.0  # seconds for a worker to run its first task
GROWS = 10.0  # seconds without one more task in flight, after which there will be none
PATIENCE = 300.0  # seconds to submit the tasks
ENDED = "SELECT count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'error') FROM agents_task"


def in_flight_row(stack: Stack, options: Options, url: str, worker: Child) -> Row:
    """Return the row of the tasks that one worker with its default settings holds while their model sleeps.

    They are still under way at the end.
    """
    peak = 0
    _submit(stack, options, url, options.in_flight)
    grown = time.monotonic()
    while peak < options.in_flight and time.monotonic() < grown + (2 if options.is_quick else GROWS):
        if (now := figures_of(stack.model_url)["waiting"]) > peak:
            peak, grown = now, time.monotonic()
        worker.require_alive()
        time.sleep(0.05)
    about = f"of {options.in_flight}, one worker of {number(memory_mb(worker.pid))} MB with default settings"
    bound = Bound(200, 200, at_least=True)
    return Row("tasks in flight", Figure(peak, peak, peak), bound=bound, applies=not options.is_quick, about=about)


def waiting_row(stack: Stack, options: Options, url: str) -> Row:
    """Return the row of many waiting tasks, from the first submission until the last end, beside the model's time."""
    ideal = 2 * options.sleep
    with stack.worker({"BENCH_SLEEP": f"{options.sleep}", **options.worker}) as worker:
        _begin(stack, url)
        begun = time.monotonic()
        submitted = _submit(stack, options, url, options.waiting)
        peak = _until_ended(stack, worker, options.waiting + 1, begun + 20 * ideal + 60)
        seconds = time.monotonic() - begun
    stack.clear()
    set_ = " ".join(f"{name}={value}" for name, value in options.worker.items())
    return Row(
        f"{options.waiting} tasks, model sleeps twice {options.sleep:g} s",
        Figure(seconds / ideal, seconds / ideal, seconds / ideal),
        "×",
        f"{number(seconds)} s",
        f"{number(ideal)} s ideal",
        Bound(1.35, 1.2),
        applies=options.waiting >= FULL[0] and options.sleep >= FULL[1],
        about=f"{set_}: {number(peak)} MB; submitted in {number(submitted)} s",
    )


def _begin(stack: Stack, url: str) -> None:
    """Wait until the worker has run a task."""
    stack.load.ask(STARTS, do="closed", url=url, runs=1, clients=1)


def _submit(stack: Stack, options: Options, url: str, tasks: int) -> float:
    given = {"url": url, "tasks": tasks, "clients": options.clients, "agent": "waiting"}
    return float(stack.load.ask(PATIENCE, do="submit", **given)["seconds"])


def _until_ended(stack: Stack, worker: Child, tasks: int, deadline: float) -> float:
    """Wait until so many tasks have completed. Returns the greatest memory of the worker, in MB."""
    peak, looked = 0.0, 0.0
    with stack.admin(SERVICE) as connection:

        def over() -> bool:
            nonlocal peak, looked
            worker.require_alive()
            if time.monotonic() > looked + 1:
                peak, looked = max(peak, memory_mb(worker.pid)), time.monotonic()
            row = connection.execute(ENDED).fetchone()
            completed, failed = row or (0, 0)
            if failed:
                raise Failed(f"{failed} of the waiting tasks have failed:\n{worker.tail()}")
            return bool(completed >= tasks)

        wait_until(over, deadline - time.monotonic(), "the waiting tasks do not end", every=0.2)
    return peak
