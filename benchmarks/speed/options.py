"""Options of a run, and the size that they give it."""

import argparse
from dataclasses import dataclass

NAMES = ("post", "full-way", "status", "approve", "in-flight", "waiting", "sqlite")
QUICK_SECONDS, USUAL_SECONDS, FULL_SECONDS = 240, 2400, 4800  # after which a run gives up
IN_FLIGHT = 240  # tasks: some more than have to be in flight
IN_FLIGHT_SLEEP = 45.0  # seconds: longer than it takes to submit them


@dataclass(frozen=True)
class Options:
    """Size of a run. Times are in seconds."""

    rounds: int
    runs: int  # of a block, of which a round has two
    open_runs: int  # tasks of the open loop
    clients: int
    seed: int
    only: tuple[str, ...]
    waiting: int  # tasks that wait for their model
    sleep: float  # of the model before each of its two answers
    worker: dict[str, str]  # variables of the worker that holds the waiting tasks
    block: float  # of requests to the API
    approvals: int
    in_flight: int
    in_flight_sleep: float
    is_quick: bool
    limit: int

    def wants(self, name: str) -> bool:
        """Return whether this measure is part of the run."""
        return not self.only or name in self.only


def variable(word: str) -> tuple[str, str]:
    """Return name and value. Raises ArgumentTypeError if the word is not both."""
    name, sign, value = word.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{word!r} is not NAME=VALUE")
    return name, value


def parse(description: str, words: list[str] | None = None) -> Options:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of a block of the service and a bare one")
    parser.add_argument("--runs", type=int, default=100, help="tasks in a block")
    parser.add_argument("--clients", type=int, default=16, help="clients, and threads of the bare graph")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=NAMES, action="append", default=[], help="only this measure; repeatable")
    parser.add_argument("--full", action="store_true", help="500 waiting tasks, whose model sleeps 20 s twice")
    parser.add_argument("--waiting", type=int, default=0, metavar="TASKS", help="the same with so many tasks")
    parser.add_argument(
        "--worker", action="append", default=[], type=variable, metavar="NAME=VALUE", help="variable of their worker"
    )
    parser.add_argument("--quick", action="store_true", help="see only that it runs")
    given = parser.parse_args(words)
    is_full = given.full or bool(given.waiting)
    waiting, sleep = (given.waiting or 500, 20.0) if is_full else (20, 1.0) if given.quick else (100, 4.0)
    return Options(
        rounds=1 if given.quick else given.rounds,
        runs=min(given.runs, 16) if given.quick else given.runs,
        open_runs=8 if given.quick else given.runs,
        clients=given.clients,
        seed=given.seed,
        only=tuple(given.only),
        waiting=waiting,
        sleep=sleep,
        worker={"WORKER_CONCURRENCY": str(waiting), **dict(given.worker)},
        block=1.0 if given.quick else 4.0,
        approvals=3 if given.quick else 30,
        in_flight=20 if given.quick else IN_FLIGHT,
        in_flight_sleep=3.0 if given.quick else IN_FLIGHT_SLEEP,
        is_quick=given.quick,
        limit=QUICK_SECONDS if given.quick else FULL_SECONDS if is_full else USUAL_SECONDS,
    )
