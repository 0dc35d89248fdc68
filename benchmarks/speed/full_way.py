"""The full way of a task, from its submission until its client has seen the end, beside the graph alone."""

from collections.abc import Sequence
from typing import Any

from benchmarks.speed import counts
from benchmarks.speed.options import Options
from benchmarks.speed.processes import Child, Peer, wait_until
from benchmarks.speed.rounds import Block, in_turns, measured
from benchmarks.speed.stack import BARE, SERVICE, Stack
from benchmarks.speed.table import Bound, Figure, Row, number, percentile, ratios, summary

WARM_UP = 16  # runs, for clients, pools and prepared statements
PATIENCE = 600.0  # seconds for a block

Pair = tuple[Block, Block]


class FullWay:
    """One web server and worker, and the bare graph on the same database."""

    def __init__(self, stack: Stack, options: Options, web: tuple[str, Child], worker: Child) -> None:
        self.stack, self.options, self.worker = stack, options, worker
        self.url, self.web = web
        self.ways: list[float] = []

    def warm_up(self) -> None:
        """Run some tasks, which also waits until the worker has begun."""
        self._closed(WARM_UP)

    def pairs(self, bare: Peer) -> list[Pair]:
        """Return the blocks of both sides."""
        self._graph(bare)  # warm by then
        self.ways.clear()
        common = {"postgres": self.stack.postgres.pid, "model": self.stack.model.pid}
        pids = {"worker": self.worker.pid, "web": self.web.pid, "clients": self.stack.load.pid, **common}
        runs = self.options.runs

        def graph() -> Block:
            return measured({"worker": bare.pid, **common}, lambda: (runs, self._graph(bare)))

        return in_turns(self.options.rounds, lambda: measured(pids, lambda: self._closed(runs)), graph)

    def apart(self, bare: Peer) -> list[float]:
        """Return the runs a second of the bare graph if each of its runs has a saver of its own."""
        return [self.options.runs / self._graph(bare, apart=True) for _ in range(self.options.rounds)]

    def open_loop(self, rate: float) -> list[float]:
        """Return the ways of tasks that are submitted at a fixed rate, in seconds."""
        found = self._ask(do="open", runs=self.options.open_runs, rate=rate)
        return list(found["ways"])

    def counted(self) -> tuple[dict[str, float], float]:
        """Return the statements of a run by kind, and its transactions. Each client looks once, when the task is over.

        How often clients look while it runs depends on the machine.
        """
        settles, runs = 1.0 if self.options.is_quick else counts.SETTLES, self.options.runs
        found = counts.Counts(self.stack.postgres.url_of("chaos", SERVICE))
        found.begin(settles)
        before = found.completed()
        submitted = self._ask(do="submit", tasks=runs, clients=self.options.clients, agent="default")
        wait_until(lambda: found.completed() >= before + runs, PATIENCE, "the tasks do not complete", every=0.5)
        self._ask(do="look", tasks=submitted["tasks"])
        statements, transactions = found.end(settles)
        found.close()
        return {kind: calls / runs for kind, calls in statements.items()}, transactions / runs

    def _closed(self, runs: int) -> tuple[int, float]:
        found = self._ask(do="closed", runs=runs, clients=self.options.clients)
        self.ways += found["ways"]
        return runs, found["seconds"]

    def _graph(self, bare: Peer, *, apart: bool = False) -> float:
        runs, threads = self.options.runs, self.options.clients
        return float(bare.ask(PATIENCE, do="measure", runs=runs, threads=threads, apart=apart)["seconds"])

    def _ask(self, **command: Any) -> Any:
        self.worker.require_alive()
        return self.stack.load.ask(PATIENCE, url=self.url, **command)


def bare_graph(stack: Stack) -> Peer:
    """Start the bare graph on PostgreSQL."""
    return stack.peer("bare_graph", stack.postgres.url_of("bare", BARE), stack.model_url)


def on_servers(way: FullWay, bare: Peer) -> list[Row]:
    """Return the rows of the full way on PostgreSQL and Redis. Both sides are warm."""
    pairs, apart = way.pairs(bare), summary(way.apart(bare))
    bare.stop()
    about = f"{told_ways('closed loop', way.ways)}; bare with a saver for each run {number(apart.median)} runs/s"
    rows = [runs_row(pairs, Bound(0.6, 1.0, at_least=True), about), *cpu_rows(pairs)]
    rate = summary(ours.rate for ours, _ in pairs).median / 2
    ways = way.open_loop(rate)
    rows.append(Row("full way, open loop", spread(ways), "ms", about=told_ways(f"{number(rate)} runs/s", ways)))
    if counts.is_available():
        rows += counted_rows(*way.counted())
    return rows


def on_files(stack: Stack, options: Options) -> list[Row]:
    """Return the rows of the full way on SQLite and files."""
    with stack.web(sqlite=True) as web, stack.worker(sqlite=True) as worker:
        way = FullWay(stack, options, web, worker)
        bare = stack.peer("bare_graph", str(stack.folder / "bare.sqlite3"), stack.model_url)
        way.warm_up()
        pairs = way.pairs(bare)
        bare.stop()
    about = told_ways("closed loop", way.ways)
    return [runs_row(pairs, None, about, "SQLite: full way"), cpu_row(pairs, "SQLite: CPU of the worker", "worker")]


def runs_row(pairs: Sequence[Pair], bound: Bound | None, about: str, measure: str = "full way") -> Row:
    """Return the row of the runs a second."""
    texts = [f"{number(summary(block.rate for block in side).median)} runs/s" for side in zip(*pairs, strict=True)]
    return Row(measure, ratios((a.rate, b.rate) for a, b in pairs), "×", texts[0], texts[1], bound, about=about)


def cpu_rows(pairs: Sequence[Pair]) -> list[Row]:
    """Return the rows of the CPU of a run."""
    ours = [ours for ours, _ in pairs]
    web = summary(block.milliseconds("web") for block in ours)
    rows = [
        cpu_row(pairs, "CPU of the worker", "worker", Bound(1.6, 1.3)),
        cpu_row(pairs, "CPU of PostgreSQL", "postgres", Bound(2.5, 1.5)),
        Row("CPU of the web server a run", web, "ms", about="submission and polls"),
    ]
    for process in ("model", "clients"):
        spent = summary(block.milliseconds(process) for block in ours)
        share = summary(block.share(process) for block in ours)
        rows.append(Row(f"CPU of the {process} a run", spent, "ms", about=f"{number(share.median)} % of a core"))
    return rows


def cpu_row(pairs: Sequence[Pair], measure: str, process: str, bound: Bound | None = None) -> Row:
    """Return the row of a process that both sides have."""
    sides = [summary(block.milliseconds(process) for block in side).median for side in zip(*pairs, strict=True)]
    texts = [f"{number(side)} ms a run" for side in sides]
    figure = ratios((a.cpu[process], b.cpu[process]) for a, b in pairs)
    return Row(measure, figure, "×", texts[0], texts[1], bound)


def counted_rows(statements: dict[str, float], transactions: float) -> list[Row]:
    """Return the rows of statements and transactions."""
    kinds = ("web", "worker", "checkpoints", "control")
    told = ", ".join(f"{kind} {number(statements.get(kind, 0.0))}" for kind in kinds)
    total = sum(statements.values())
    return [
        Row("statements a run", Figure(total, total, total), bound=Bound(45, 30), about=f"{told}; with one look"),
        Row("transactions a run", Figure(transactions, transactions, transactions), bound=Bound(25, 15)),
    ]


def spread(seconds: Sequence[float]) -> Figure:
    """Return the median and the range, in ms."""
    return summary(value * 1000 for value in seconds)


def told_ways(where: str, seconds: Sequence[float]) -> str:
    """Return the percentiles of the ways as a text."""
    found = [percentile(seconds, share) * 1000 for share in (0.5, 0.95, 0.99)]
    return f"{where}: p50 {found[0]:.0f}, p95 {found[1]:.0f}, p99 {found[2]:.0f} ms"
