"""Requests a second to the API beside a bare view, and the time from an approval until the tool starts."""

from benchmarks.speed.full_way import spread, told_ways
from benchmarks.speed.options import Options
from benchmarks.speed.processes import Child
from benchmarks.speed.rounds import Block, in_turns, measured
from benchmarks.speed.stack import Stack
from benchmarks.speed.table import Bound, Row, number, ratios, summary

BARE = "benchmarks.speed.bare_site"  # the application of the bare web server
ROWS = 200  # that are read by turns
PATIENCE = 300.0  # seconds for a block


def post_row(stack: Stack, options: Options, web: tuple[str, Child]) -> Row:
    """Return the row of submissions, beside inserts. Without a worker, so that nobody works on them."""
    bound = Bound(0.35, 0.5, at_least=True)
    return _row(stack, options, web, ("POST /agent/invoke", "submit", "insert"), bound)


def status_row(stack: Stack, options: Options, web: tuple[str, Child]) -> Row:
    """Return the row of looks at completed tasks, beside reads of a row."""
    bound = Bound(0.4, 0.6, at_least=True)
    return _row(stack, options, web, ("GET /agent/status", "status", "read"), bound)


def approve_row(stack: Stack, options: Options, url: str) -> Row:
    """Return the row of the time from the request that approves a call until its tool runs."""
    started, runs = str(stack.folder / "started"), options.approvals
    times = stack.load.ask(PATIENCE, do="approve", url=url, runs=runs + 2, started=started)["times"][2:]  # warm by then
    about = told_ways(f"{runs} approvals over REST", times)
    return Row("approve to start of the tool", spread(times), "ms", bound=Bound(60, 30), about=about)


def _row(stack: Stack, options: Options, web: tuple[str, Child], names: tuple[str, str, str], bound: Bound) -> Row:
    measure, ours, theirs = names

    def requests(url: str, server: Child, what: str, seconds: float) -> Block:
        def ask() -> tuple[int, float]:
            given = {"url": url, "what": what, "seconds": seconds, "clients": options.clients}
            found = stack.load.ask(PATIENCE, do="requests", **given)
            return found["answered"], found["seconds"]

        return measured({"web": server.pid, "postgres": stack.postgres.pid}, ask)

    with stack.web(BARE) as bare:
        requests(*bare, "insert", 0.5)  # rows to read
        requests(*bare, theirs, 0.5)
        requests(*web, ours, 0.5)
        pairs = in_turns(
            options.rounds,
            lambda: requests(*web, ours, options.block),
            lambda: requests(*bare, theirs, options.block),
        )
    sides = list(zip(*pairs, strict=True))
    texts = [
        f"{number(summary(block.rate for block in side).median)}/s, "
        f"{number(summary(block.milliseconds('web') for block in side).median)} ms CPU"
        for side in sides
    ]
    postgres = [summary(block.milliseconds("postgres") for block in side).median for side in sides]
    about = f"PostgreSQL {number(postgres[0])} to {number(postgres[1])} ms CPU"
    return Row(measure, ratios((a.rate, b.rate) for a, b in pairs), "×", texts[0], texts[1], bound, about=about)
