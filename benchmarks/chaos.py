"""Chaos test: kills, stalls, restarts, duplicate messages and competing reviewers must not lose or double a call.

    python benchmarks/chaos.py --runs 1000 --kills 300 --stalls 100 --broker-restarts 20 --database-restarts 10
    python benchmarks/chaos.py --sqlite --runs 200 --kills 50
    python benchmarks/chaos.py --broker rabbitmq         # a RabbitMQ takes the jobs
    python benchmarks/chaos.py --control ledger          # removes a guard: must show damage

Starts its own PostgreSQL, Redis (or RabbitMQ) and rule model. Prints one line. Exits with 1 if a call was lost or
doubled (with --control: if none was).
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.harness.blows import Blows, tell  # noqa: E402
from benchmarks.harness.servers import PostgreSQL, RabbitMQ, Redis  # noqa: E402
from benchmarks.harness.workers import Workers  # noqa: E402
from demo.model_server import serve  # noqa: E402

Servers = tuple[PostgreSQL, Redis | RabbitMQ]
LEASE = 3.0  # seconds, as set for the run
TIMES = {"TASK_LEASE_SECONDS": "3", "TASK_HEARTBEAT_SECONDS": "1", "TASK_SWEEP_SECONDS": "1"}


def arguments() -> argparse.Namespace:
    """Parse the command line."""
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
    parser.add_argument("--broker", choices=("redis", "rabbitmq"), default="redis")
    return parser.parse_args()


def environment(folder: Path, model_url: str, servers: Servers | None, control: str | None) -> None:
    """Set the environment variables of this process and the workers."""
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "OPENAI_API_BASE"):
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
        broker = "CELERY_BROKER_URL" if isinstance(servers[1], RabbitMQ) else "REDIS_URL"
        os.environ |= {"DATABASE_URL": servers[0].url, broker: servers[1].url}


def faults(given: argparse.Namespace, chance: random.Random) -> list[str]:
    """Return the faults in random order."""
    plan = ["kill"] * given.kills + ["stall"] * given.stalls
    if not given.sqlite:
        plan += ["broker"] * given.broker_restarts + ["database"] * given.database_restarts
    chance.shuffle(plan)
    return plan


def main() -> int:
    """Start everything, make the faults, stop everything. Returns the clients' exit code, which is their verdict."""
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped
    with tempfile.TemporaryDirectory(prefix="agentsite-chaos-") as name, serve(port=0) as model:
        folder = Path(name)
        kind = RabbitMQ if given.broker == "rabbitmq" else Redis
        servers = None if given.sqlite else (PostgreSQL(folder), kind(folder))
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
    servers: Servers | None,
    clients: "subprocess.Popen[bytes]",
    given: argparse.Namespace,
) -> None:
    """Run workers and make faults until the clients have seen the end of every task."""
    chance = random.Random(given.seed)
    wait_for(folder / "migrated", clients)
    # As documented for each: threads on SQLite and files, and otherwise prefork, whose children can be killed.
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
    """Wait until the clients have created this file. Raises SystemExit if they end before."""
    while not path.exists():
        if clients.poll() is not None:
            raise SystemExit("the clients have ended early")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
