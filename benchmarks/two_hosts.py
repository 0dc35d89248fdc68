"""One host for the web server, two for workers; one of these loses its network while its runs are under way.

    python benchmarks/two_hosts.py --runs 40 --away 15

Starts its own PostgreSQL, Redis and rule models, in network namespaces (benchmarks/harness/hosts.py; needs root).
Prints one line. Exits with 1 if a call was lost or doubled, or if the other host took over too late.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import django  # noqa: E402
import httpx  # noqa: E402
from django.core.management import call_command  # noqa: E402

from benchmarks.harness.hosts import HERE, NETWORK, Host, enter  # noqa: E402
from benchmarks.harness.servers import PostgreSQL, Redis  # noqa: E402
from benchmarks.speed.processes import Child, Failed  # noqa: E402

LEASE, SWEEP = 6.0, 2.0  # seconds, as set for the run
BOUND = LEASE + 2 * SWEEP + 1  # and a second for the claim, on cores that other work shares
QUERY = (
    'call grab with {{"amount": {0}.1}} then call put with {{"amount": {0}.2}} then call grab with {{"amount": {0}.3}}'
)
LATER = 8  # runs that are submitted when the host is back
MODEL_PORT = 20_500  # on the loopback of each worker host


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--away", type=float, default=15, help="seconds for which the host has no network")
    return parser.parse_args()


def environment(folder: Path, postgres: PostgreSQL, redis: Redis) -> dict[str, str]:
    """Return the environment of all processes of the service."""
    return {
        **{name: value for name, value in os.environ.items() if name not in ("SECRET_KEY", "CELERY_BROKER_URL")},
        "DATABASE_URL": f"postgres://chaos@{HERE}:{postgres.port}/postgres",
        "REDIS_URL": f"redis://{HERE}:{redis.port}/0",
        "DEBUG": "true",
        "ALLOWED_HOSTS": "*",
        "RATE_PRINCIPAL": "",
        "RATE_USER": "",
        "DJANGO_SETTINGS_MODULE": "agentsite.settings",
        "PYTHONPATH": str(ROOT),
        "OPENAI_BASE_URL": f"http://127.0.0.1:{MODEL_PORT}/v1",
        "OPENAI_API_KEY": "demo",
        "AGENT_MODEL": "openai:demo",
        "AGENT_TOOLS": "benchmarks.chaos_tools",
        "CHAOS_ORACLE": str(folder / "oracle"),
        "WORKER_CONCURRENCY": "64",  # so that a task that is taken over waits for no free thread
        "TASK_LEASE_SECONDS": f"{LEASE:g}",
        "TASK_HEARTBEAT_SECONDS": "2",
        "TASK_SWEEP_SECONDS": f"{SWEEP:g}",
    }


def servers(folder: Path) -> tuple[PostgreSQL, Redis]:
    """Start PostgreSQL and Redis on HERE, open to the hosts."""
    postgres = PostgreSQL(folder, ("-c", f"listen_addresses=127.0.0.1,{HERE}", "-c", "max_connections=200"))
    with open(Path(postgres.data, "pg_hba.conf"), "a") as rules:
        rules.write(f"host all all {NETWORK} trust\n")
    postgres.restart(0)
    return postgres, Redis(folder, ("--bind", "127.0.0.1", HERE, "--protected-mode", "no", "--save", ""))


def start(hosts: list[Host], given: dict[str, str]) -> list[Child]:
    """Start the web server on the first host, a rule model and a worker on each of the others."""
    web, *workers = hosts
    command = ["-m", "gunicorn", "agentsite.wsgi", "--bind", f"{web.address}:8000", "--threads", "8"]
    command += ["--worker-class", "agentsite.server.gunicorn_worker.Worker", "--no-control-socket"]
    made = [web.start("web", [sys.executable, *command], given)]
    for host in workers:
        model = [sys.executable, "-m", "demo.model_server", "--port", str(MODEL_PORT)]
        worker = [sys.executable, "-m", "celery", "--quiet", "-A", "agentsite", "worker", "-n", f"worker@{host.name}"]
        made += [host.start("model", model, given), host.start("worker", worker, given)]
    return made


def until(condition: Callable[[], Any], what: str, children: list[Child], seconds: float = 90) -> Any:
    """Wait for the condition and return its value. Raises Failed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for child in children:
            child.require_alive()
        if found := condition():
            return found
        time.sleep(0.1)
    raise Failed(f"not within {seconds:g} s: {what}\n" + "\n".join(child.tail() for child in children))


class Clients:
    """The client, who submits over REST, and the person who answers what became of a call in doubt."""

    def __init__(self, web: Host, oracle: Path) -> None:
        django.setup()
        call_command("migrate", verbosity=0)
        self.models, self.decisions = import_module("agents.models"), import_module("reviews.decisions.services")
        accounts, auth = import_module("agentsite.accounts"), import_module("django.contrib.auth.models")
        self.reviewer = auth.User.objects.create_superuser("reviewer")
        shop = auth.User.objects.create_user("shop")
        accounts.make_service(shop)
        headers = {"Authorization": f"Bearer {accounts.create_key(shop, 'benchmark')}"}
        self.http = httpx.Client(base_url=f"http://{web.address}:8000", headers=headers, timeout=30)
        self.oracle = oracle

    def is_ready(self, workers: int) -> bool:
        """Return whether the web server answers and all workers listen."""
        try:
            ready = self.http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False
        return ready and self.models.WorkerProcess.objects.filter(listened_at__isnull=False).count() == workers

    def submit(self, number: int) -> None:
        """Submit one task."""
        ids = {"user_id": f"user{number % 7}", "session_id": f"session{number}", "task_id": "task"}
        self.http.post("/agent/invoke", json={**ids, "query": QUERY.format(number)}).raise_for_status()

    def happened(self) -> "Counter[str]":
        """Return how often each call has happened: tool and amount."""
        text = self.oracle.read_text() if self.oracle.exists() else ""
        return Counter(line.rsplit(" ", 1)[0] for line in text.splitlines())

    def running_on(self, host: Host) -> list[Any]:
        """Return the open attempts of this host's worker."""
        return list(self.models.Attempt.objects.filter(ended_at=None, worker__startswith=f"{host.name}:"))

    def have_ended(self) -> bool:
        """Look into the calls in doubt, and return whether all tasks have ended."""
        for review in self.models.Interrupt.objects.filter(status="pending", kind="in_doubt"):
            name = f"{review.tool} {json.loads(review.args_text)['amount']:g}"
            answer = ("response", "it is done") if self.happened()[name] else ("reject", None)
            self.decisions.decide(review.pk, self.reviewer, self.decisions.Choice(*answer))
        return not self.models.Task.objects.exclude(status__in=self.models.FINAL).exists()

    def after(self, attempts: list[Any]) -> list[Any]:
        """Return the attempts that took these attempts' tasks over."""
        find = self.models.Attempt.objects.filter
        return [next_ for one in attempts for next_ in find(task=one.task_id, token=one.token + 1)]


def main() -> int:
    """Start everything, cut one host off, judge. Returns 1 if something was lost or doubled or came too late."""
    given = arguments()
    enter()
    with tempfile.TemporaryDirectory(prefix="agentsite-hosts-") as name:
        folder = Path(name)
        postgres, redis = servers(folder)
        hosts = [Host(host, number, folder) for number, host in enumerate(("web", "left", "right"))]
        made = environment(folder, postgres, redis)
        os.environ |= {**made, "AGENTSITE_DATA": str(folder / "data"), "LOG_LEVEL": "CRITICAL"}
        children: list[Child] = []
        try:
            clients = Clients(hosts[0], folder / "oracle")
            children += start(hosts, made)
            until(lambda: clients.is_ready(2), "web server and workers are ready", children)
            return cut_off(hosts[1], clients, given, children)
        finally:
            for child in children:
                child.kill()
            for host in hosts:
                host.stop()
            redis.stop()
            postgres.stop()


def cut_off(host: Host, clients: Clients, given: argparse.Namespace, children: list[Child]) -> int:
    """Submit tasks, pull the host's cable out in the middle of its runs and put it in again, judge and print."""
    for number in range(1, given.runs + 1):
        clients.submit(number)
    until(lambda: len(clients.running_on(host)) > 2, "three runs on the host", children)
    host.plug("down")
    cut, held = time.time(), clients.running_on(host)
    time.sleep(given.away)
    host.plug("up")
    time.sleep(LEASE)  # for the host to come back, and for what its old runs may still do
    for number in range(given.runs + 1, given.runs + LATER + 1):
        clients.submit(number)
    until(clients.have_ended, "all tasks have ended", children)
    tasks = clients.models.Task.objects.values_list("status", flat=True)
    calls, taken = clients.happened(), clients.after(held)
    doubled = sum(count > 1 for call, count in calls.items() if not call.startswith("put"))
    lost = given.runs + LATER - len([status for status in tasks if status == "completed"])
    slowest = max((one.started_at.timestamp() - cut for one in taken), default=0.0)
    late = sum(one.started_at.timestamp() - cut > BOUND for one in taken)
    back = clients.models.Attempt.objects.filter(worker__startswith=f"{host.name}:", started_at__gt=_at(cut)).count()
    doubts = clients.models.Interrupt.objects.filter(kind="in_doubt").count()
    print(
        f"{given.runs + LATER} runs, {sum(calls.values())} tool calls on two worker hosts, one without network for "
        f"{given.away:g} s with {len(held)} runs on it -> {lost} lost, {doubled} doubled, {doubts} in doubt; "
        f"{len(taken)} taken over, the last {slowest:.1f} s after the cut (bound {BOUND:g} s: lease, two sweeps, 1 s); "
        f"of {LATER} runs that were submitted after its return {back} ran there",
        flush=True,
    )
    return int(bool(lost or doubled or late or not taken))


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


if __name__ == "__main__":
    sys.exit(main())
