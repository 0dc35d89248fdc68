"""Benchmark of the review queue with 100 and with 10,000 pending reviews: time and queries of one page.

    python benchmarks/review_queue.py [--few 100] [--many 10000] [--runs 15]

Creates its own test database (of DATABASE_URL, or SQLite in a temporary folder) and drops it again. Exits with 1 if the
page of many takes more than 1.5 times as long, or another number of queries.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import uuid
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")
# Without DEBUG, because with it Django keeps every statement.
os.environ |= {"DEBUG": "false", "SECRET_KEY": "x" * 50, "LOG_LEVEL": "CRITICAL"}
os.environ.setdefault("AGENTSITE_DATA", tempfile.mkdtemp(prefix="agentsite-benchmark-"))

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext, setup_test_environment, teardown_test_environment  # noqa: E402
from django.utils import timezone  # noqa: E402

from agents.models import Interrupt, Session, Status, Task  # noqa: E402
from agents.policy import Terms, Verdict  # noqa: E402
from core.text import canonical  # noqa: E402

ALLOWED = 1.5
QUEUE = "/admin/reviews/review/"


def fill(start: int, end: int) -> None:
    """Create pending reviews with the numbers from `start` to `end`, each in its own session."""
    sessions = [Session(user_id=f"user{number % 50}", session_id=f"s{number}") for number in range(start, end)]
    Session.objects.bulk_create(sessions, batch_size=500)
    tasks = [
        Task(session=one, task_id="t", user_id=one.user_id, position=1, query="go", status=Status.INTERRUPTED)
        for one in sessions
    ]
    Task.objects.bulk_create(tasks, batch_size=500)
    Interrupt.objects.bulk_create(map(review_of, tasks, range(start, end)), batch_size=500)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def review_of(task: Task, number: int) -> Interrupt:
    """Return one review, with arguments as long as those of a mail."""
    return Interrupt(
        task=task,
        kind=Interrupt.Kind.TOOL_CALL,
        message_id=str(uuid.uuid4()),
        tool_call_id="c",
        graph_id="g",
        tool=f"tool{number % 5}",
        args_text=canonical({"to": f"user{number}@example.com", "body": "Some words of a letter. " * 20}),
        verdict_text=Verdict("review", "benchmark", Terms()).to_text(),
        args_digest="0" * 64,
        args_schema={"type": "object", "properties": {"to": {"type": "string"}, "body": {"type": "string"}}},
        risk=("low", "medium", "high")[number % 3],
        expires_at=timezone.now() + timedelta(seconds=number * 7919 % 600_000),
    )


def measure(client: Client, path: str, runs: int) -> tuple[float, int]:
    """Return the median time of one page in milliseconds, and its number of queries."""
    client.get(path, secure=True)
    connection.queries_log.clear()  # because its length is limited
    with CaptureQueriesContext(connection):
        client.get(path, secure=True)
        count = len(connection.queries_log)  # the next request clears the log
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        response = client.get(path, secure=True)
        times.append((time.perf_counter() - start) * 1000)
        assert response.status_code == 200
    return statistics.median(times), count


def main() -> int:
    """Measure, print and compare. Returns 1 if the page of many costs too much."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    setup_test_environment()
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        client = Client()
        client.force_login(User.objects.create_superuser("bench"))
        fill(0, options.few)
        few = {path: measure(client, path, options.runs) for path in (QUEUE, f"{QUEUE}rows/")}
        fill(options.few, options.many)
        many = {path: measure(client, path, options.runs) for path in few}
    finally:
        connection.creation.destroy_test_db(connection.settings_dict["NAME"], verbosity=0)
        teardown_test_environment()
    worst = 0.0
    for path, (time_few, queries_few) in few.items():
        time_many, queries_many = many[path]
        worst = max(worst, time_many / time_few, 99.0 if queries_few != queries_many else 0.0)
        print(
            f"{connection.vendor} {path}: {options.few} pending {time_few:.0f} ms, {queries_few} queries; "
            f"{options.many} pending {time_many:.0f} ms, {queries_many} queries; ratio {time_many / time_few:.2f}"
        )
    return 1 if worst > ALLOWED else 0


if __name__ == "__main__":
    sys.exit(main())
