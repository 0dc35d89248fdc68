"""Many tasks under fire: kills, stalls, restarts, doubled messages, quarrelling reviewers. Nothing lost, nothing twice.

    python benchmarks/chaos.py --runs 1000 --kills 300 --stalls 100 --broker-restarts 20 --database-restarts 10
    python benchmarks/chaos.py --sqlite --runs 200 --kills 50
    python benchmarks/chaos.py --control ledger          # takes a guard out: has to show damage

Starts a PostgreSQL, a Redis and a rule model of its own. Prints one line; exits with 1 where a call was lost or doubled
(with --control: where none was).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.harness.blows import Blows, tell  # noqa: E402
from benchmarks.harness.servers import PostgreSQL, Redis  # noqa: E402
from benchmarks.harness.workers import Workers  # noqa: E402
from demo.model_server import serve  # noqa: E402

LEASE = 3.0  # seconds, as set for the run
TIMES = {"TASK_LEASE_SECONDS": "3", "TASK_HEARTBEAT_SECONDS": "1", "TASK_SWEEP_SECONDS": "1"}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("runs", 150), ("kills", 40), ("stalls", 10), ("broker-restarts", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--database-restarts", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=1.2, help="seconds between two faults")
    parser.add_argument("--patience", type=float, default=240, help="seconds for the last tasks to end in")
    parser.add_argument("--slowest", type=int, default=0, help="tell the story of so many recoveries")
    parser.add_argument("--control", choices=("token", "fence", "ledger"), help="take this guard out")
    parser.add_argument("--sqlite", action="store_true", help="SQLite and files in place of PostgreSQL and Redis")
    return parser.parse_args()


def environment(folder: Path, model_url: str, servers: tuple[PostgreSQL, Redis] | None, control: str | None) -> None:
    """What this process and the workers are configured by."""
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "OPENAI_API_BASE"):
        os.environ.pop(name, None)
    os.environ |= {
        **TIMES,
        "TASK_REPUBLISH_SECONDS": "2",
        "DEBUG": "true",
        "LOG_LEVEL": "CRITICAL",
        "AGENTSITE_DATA": str(folder / "data"),
        "DJANGO_SETTINGS_MODULE": "agentsite.settings",
        "PYTHONPATH": str(ROOT),
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": "demo",
        "AGENT_MODEL": "openai:demo",
        "AGENT_TOOLS": "benchmarks.chaos_tools",
        "CHAOS_ORACLE": str(folder / "oracle"),
        "TASKS_IN_FLIGHT_PER_USER": "0",
        "TASKS_IN_FLIGHT_PER_PRINCIPAL": "0",
    }
    if control:
        os.environ["CHAOS_CONTROL"] = control
    if servers:
        os.environ |= {"DATABASE_URL": servers[0].url, "REDIS_URL": servers[1].url}


def faults(given: argparse.Namespace, chance: random.Random) -> list[str]:
    """Which fault comes when."""
    plan = ["kill"] * given.kills + ["stall"] * given.stalls
    if not given.sqlite:
        plan += ["broker"] * given.broker_restarts + ["database"] * given.database_restarts
    chance.shuffle(plan)
    return plan


def main() -> int:
    """Start everything, let the faults come, end everything. The clients judge, and their verdict is the exit code."""
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="agentsite-chaos-") as name, serve(port=0) as model:
        folder = Path(name)
        servers = None if given.sqlite else (PostgreSQL(folder), Redis(folder))
        environment(folder, model.url, servers, given.control)
        command = [sys.executable, "-m", "benchmarks.harness.clients", str(folder), json.dumps(vars(given))]
        clients = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        try:
            under_fire(folder, servers, clients, given)
            return clients.wait()
        finally:
            clients.kill()
            for server in reversed(servers or ()):
                server.stop()


def under_fire(
    folder: Path,
    servers: "tuple[PostgreSQL, Redis] | None",
    clients: "subprocess.Popen[bytes]",
    given: argparse.Namespace,
) -> None:
    """Run workers and spoil their work, until the clients have seen the end of every task."""
    chance = random.Random(given.seed)
    wait_for(folder / "migrated", clients)
    # As each is documented: threads on SQLite and files; a process for each task at once where children are to die.
    blows = Blows(folder / "blows")
    workers = Workers(3, "threads" if given.sqlite else "prefork", 3, folder, blows)
    try:
        wait_for(folder / "begun", clients)
        plan = faults(given, chance)
        for number, fault in enumerate(plan, 1):
            time.sleep(chance.uniform(0.5, 1.5) * given.pause)
            if fault == "kill":
                workers.kill(chance)
            elif fault == "stall":
                workers.stall(chance, LEASE + chance.uniform(0.5, 2))
            elif servers and fault == "broker":
                with blows.outage(fault):
                    servers[1].restart(chance.uniform(0.1, 1.5), keep=chance.random() < 0.5)
            elif servers:
                with blows.outage(fault):
                    servers[0].restart(chance.uniform(0.1, 1.0))
            tell(folder / "allowed", str(number / len(plan)))
        tell(folder / "allowed", "1")
        clients.wait(given.patience)
    finally:
        workers.stop()


def wait_for(path: Path, clients: "subprocess.Popen[bytes]") -> None:
    """Until the clients have made this file."""
    while not path.exists():
        if clients.poll() is not None:
            raise SystemExit("the clients have ended early")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
