"""Benchmark of lists, pages, counts and chores with 1,000,000 tasks and with a thousandth of them.

    python benchmarks/scale.py [--tasks 1000000] [--runs 7] [--only NAME] [--sqlite] [--server postgres://…/]

Fills two databases of a PostgreSQL of its own (with --sqlite: two files) in a temporary folder, and measures the small
and the large one in turns. Exits with 1 if anything takes more than 1.5 times as long on the large one. With --server
the databases stay there, filled, for the next run.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg

from benchmarks.harness.servers import PostgreSQL
from benchmarks.speed.processes import Child, Peer

ALLOWED = 1.5
NOISE = 3.0  # milliseconds: what takes less than this longer is no slower
LEAST = 1_000  # tasks in the small database
FILLING, MEASURING = 3_600.0, 300.0  # seconds
OPTIONS = ("-c", "fsync=off", "-c", "max_wal_size=8GB", "-c", "shared_buffers=512MB", "-c", "work_mem=4MB")


class Site(Peer):
    """The service on one database, in a process of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        data = folder / f"data-{time.monotonic_ns()}"
        environment = {**os.environ, "DEBUG": "false", "SECRET_KEY": "bench" * 10, "LOG_LEVEL": "CRITICAL"}
        environment |= {
            "DATABASE_URL": url,
            "AGENTSITE_DATA": str(data),
            "REDIS_URL": "",
            "ALLOWED_HOSTS": "testserver",
        }
        environment |= {"DATABASE_ANSWER_SECONDS": "0"}
        command = [sys.executable, "-m", "benchmarks.scale_parts.site"]
        Child.__init__(self, f"site-{time.monotonic_ns()}", command, folder, environment)


def urls(options: argparse.Namespace, folder: Path, exits: ExitStack) -> list[str]:
    """Return the URLs of the small and the large database. Creates them if they don't exist."""
    names = [f"scale_{LEAST}", f"scale_{options.tasks}"]
    if options.sqlite:
        return [f"sqlite:///{folder}/{name}.sqlite3" for name in names]
    server = options.server
    if not server:
        postgres = PostgreSQL(folder, OPTIONS)
        exits.callback(postgres.stop)
        server = postgres.url.removesuffix("postgres")
    with psycopg.connect(f"{server}postgres", autocommit=True) as connection:
        known = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for name in {*names} - known:
            connection.execute(f"CREATE DATABASE {name}".encode())
    return [f"{server}{name}" for name in names]


def compare(sites: list[Site], names: list[str], runs: int) -> list[tuple[str, float, float]]:
    """Return the name and the median milliseconds on both databases of everything, measured in turns."""
    found = []
    for name in names:
        for site in sites:
            site.ask(MEASURING, do="measure", name=name)  # loads what is loaded once
        pairs = [[site.ask(MEASURING, do="measure", name=name) for site in sites] for _ in range(runs)]
        small, large = (statistics.median(pair[side] for pair in pairs) for side in range(2))
        ratio = large / small
        verdict = "" if ratio <= ALLOWED or large - small < NOISE else "  SLOW"
        print(f"{name:<50} {small:8.1f} {large:10.1f} {ratio:7.2f}{verdict}", flush=True)
        found.append((name, small, large))
    return found


def explain(site: Site, names: list[str]) -> None:
    """Print the slowest statements of each."""
    for name in names:
        print(name)
        for milliseconds, sql in sorted(site.ask(MEASURING, do="statements", name=name), reverse=True)[:4]:
            print(f"  {milliseconds:8.1f} ms  {sql}")


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tasks", type=int, default=1_000_000, help="in the large database")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", default="", help="what to measure: a part of its name")
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument(
        "--server", default="", help="a PostgreSQL that keeps the databases, such as postgres://me@host/"
    )
    parser.add_argument("--explain", action="store_true", help="print the slowest statements on the large database")
    return parser.parse_args()


def main() -> int:
    """Fill, measure, print and compare. Returns 1 if anything is too slow."""
    options = parsed()
    with ExitStack() as exits:
        folder = Path(tempfile.mkdtemp(prefix="agentsite-scale-"))
        exits.callback(shutil.rmtree, folder, ignore_errors=True)
        sites = []
        for url in urls(options, folder, exits):
            sites.append(Site(url, folder))
            exits.callback(sites[-1].stop)
        started = time.monotonic()
        with ThreadPoolExecutor() as both:
            counts = [LEAST, options.tasks]
            filled = both.map(lambda site, tasks: site.ask(FILLING, do="fill", tasks=tasks), sites, counts)
            print(f"tasks: {', '.join(f'{count:,}' for count in filled)}, filled in {time.monotonic() - started:.0f} s")
        known = [site.ask(MEASURING, do="names") for site in sites]
        names = [name for name in known[0] if options.only in name]
        if options.explain:
            explain(sites[1], names)
            return 0
        print(f"{'':<50} {'small ms':>8} {'large ms':>10} {'ratio':>7}")
        found = compare(sites, names, options.runs)
    slow = [name for name, small, large in found if large / small > ALLOWED and large - small >= NOISE]
    print(
        f"{len(found) - len(slow)} of {len(found)} take at most {ALLOWED} times as long" + f"; not: {slow}" * bool(slow)
    )
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
