"""Benchmark of the time from the click on Approve until the tool starts, in a real browser on the running service.

    python benchmarks/click_to_start.py [--clicks 50] [--servers]

Starts `manage.py dev` with the rule model in a temporary folder, on SQLite and files or, with --servers, on its own
PostgreSQL and Redis. The tool starts when its call is entered in the ledger. Exits with 1 if the median is a second or
more, because then something polls.
"""

import argparse
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.harness.servers import PostgreSQL, Redis, free_port  # noqa: E402

ALLOWED = 1000  # ms
STARTED = """
    SELECT task.task_id, call.started_at FROM agents_toolcall AS call JOIN agents_task AS task ON task.id = call.task_id
"""
ON_CLICK = """
    document.getElementById("approve").addEventListener("click", () => sessionStorage.setItem("clicked", Date.now()))
"""


class Service:
    """`manage.py dev` in its own folder."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        clean = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        clean |= {"AGENTSITE_DATA": str(folder), "DEBUG": "true", "PORT": self.url.rpartition(":")[2], **environment}
        command = [sys.executable, "manage.py", "dev"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=clean, stdout=subprocess.DEVNULL)
        while not self.answers():
            time.sleep(0.2)
        self.account = json.loads((folder / "first-run.json").read_text())

    def answers(self) -> bool:
        """Return whether the service is ready. Raises SystemExit if it has ended."""
        if self.process.poll() is not None:
            raise SystemExit("the service has ended")
        try:
            return bool(urllib.request.urlopen(f"{self.url}/health/ready", timeout=5).status == 200)
        except OSError:
            return False

    def ask(self, path: str, body: dict[str, str] | None = None) -> Any:
        """Send a request with the service's own key. Returns the JSON answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.account['service_key']}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=30) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """Stop the service as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


@contextmanager
def desk(service: Service) -> Iterator[Page]:
    """Open a browser that is logged in as the reviewer."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page()
        page.goto(f"{service.url}/admin/login/")
        page.fill("#id_username", service.account["reviewer_user"])
        page.fill("#id_password", service.account["reviewer_password"])
        page.click("input[type=submit]")
        yield page
        chromium.close()


def interrupted(service: Service, task_id: str) -> str:
    """Wait until the task is interrupted. Returns the id of the review that it waits for."""
    for _ in range(600):
        status = service.ask(f"/agent/status/ann/{task_id}/{task_id}")
        if status["status"] == "interrupted":
            return str(status["last_response"]["interrupts"][0]["interrupt_id"])
        time.sleep(0.1)
    raise SystemExit(f"{task_id} does not ask: {status}")


def clicks(service: Service, count: int) -> dict[str, float]:
    """Submit tasks and approve their calls. Returns when Approve was clicked (ms since 1970), by task."""
    found = {}
    with desk(service) as page:
        for number in range(count):
            task_id = f"t{number}"
            query = {"query": "book the Ritz for 2 nights", "session_id": task_id, "task_id": task_id, "user_id": "ann"}
            service.ask("/agent/invoke", query)
            page.goto(f"{service.url}/admin/reviews/review/{interrupted(service, task_id)}/change/")
            page.wait_for_timeout(800)  # keys and buttons do not react for 700 ms
            page.evaluate(ON_CLICK)
            page.click("#approve")
            page.wait_for_selector(".messagelist")
            found[task_id] = float(page.evaluate("sessionStorage.getItem('clicked')"))
    return found


def starts(folder: Path, servers: tuple[PostgreSQL, Redis] | None) -> dict[str, float]:
    """Return when each task's call began according to the ledger (ms since 1970)."""
    if servers is None:
        with closing(sqlite3.connect(folder / "agentsite.sqlite3")) as database:
            rows = database.execute(STARTED).fetchall()
        return {task: datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1000 for task, at in rows}
    with psycopg.connect(servers[0].url.replace("postgres://", "postgresql://")) as conn:
        return {task: at.timestamp() * 1000 for task, at in conn.execute(STARTED).fetchall()}


def main() -> int:
    """Print the median and the 95th percentile. Returns 1 if the median is too long."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clicks", type=int, default=50)
    parser.add_argument("--servers", action="store_true", help="PostgreSQL and Redis in place of SQLite and files")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agentsite-clicks-") as name:
        folder = Path(name)
        servers = (PostgreSQL(folder), Redis(folder)) if given.servers else None
        urls = {"DATABASE_URL": servers[0].url, "REDIS_URL": servers[1].url} if servers else {}
        service = Service(folder, **urls)
        try:
            clicked = clicks(service, given.clicks)
            time.sleep(3)
            started = starts(folder, servers)
        finally:
            service.stop()
            for server in reversed(servers or ()):
                server.stop()
    times = sorted(started[task] - at for task, at in clicked.items())
    median, late = statistics.median(times), times[int(len(times) * 0.95)]
    where = "PostgreSQL and Redis" if servers else "SQLite and files"
    print(
        f"{where}: {len(times)} clicks on Approve, the tool starts after {median:.0f} ms (median), {late:.0f} ms (p95)"
    )
    return int(median >= ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
