"""A database that the code before the move into rooms has filled goes on: nothing is asked again, nothing runs twice.

The fixture holds a completed task, one that waits for its review with another one queued behind it, one that was
approved and whose job was lost, a rejected one, an *always allow* rule, two memories, and notices under way.
"""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection

from tests.support.processes import FAST, ROOT, until
from tests.support.receiver import Receiver

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

DATA = Path(__file__).parent / "data"
DECIDE = """
from django.contrib.auth.models import User
from reviews.decisions.services import Choice, decide
from reviews.models import Review
[review] = Review.objects.filter(status="pending")
print(decide(review.pk, User.objects.get(username="rita"), Choice("accept")).status)
"""
SUBMIT = """
from django.contrib.auth.models import User
from agents import services
client = User.objects.get(username="client")
for number, query in enumerate(["book the Savoy for 1 night", "what do you know about me"]):
    services.submit(services.Submission(query=query, user_id="ann", session_id=f"new{number}", task_id="t"), client)
"""


class Old:
    """The filled database, and the service of today on it."""

    def __init__(self, url: str, rows: Callable[[str], list[Any]], env: dict[str, str], folder: Path) -> None:
        self.rows, self.folder = rows, folder
        self.env = {**os.environ, **FAST, **env, "DATABASE_URL": url, "AGENTSITE_DATA": str(folder / "data")}

    def manage(self, *args: str) -> str:
        command = [sys.executable, "manage.py", *args]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def shell(self, code: str) -> str:
        return self.manage("shell", "--no-imports", "-c", code)

    def statuses(self) -> dict[str, str]:
        """The status of each task, by session and task."""
        query = (
            "SELECT s.session_id, t.task_id, t.status FROM agents_task t JOIN agents_session s ON s.id = t.session_id"
        )
        return {f"{session}/{task}": status for session, task, status in self.rows(query)}


def in_sqlite(folder: Path) -> Iterator[tuple[str, Callable[[str], list[Any]]]]:
    file = folder / "old.sqlite3"
    file.write_bytes(gzip.decompress((DATA / "before-rooms.sqlite3.gz").read_bytes()))

    def rows(query: str) -> list[Any]:
        with closing(sqlite3.connect(file, timeout=30)) as database:
            found = database.execute(query).fetchall()
            database.commit()
            return found

    yield f"sqlite:///{file}", rows


def in_postgresql() -> Iterator[tuple[str, Callable[[str], list[Any]]]]:
    name = f"agentsite_old_{os.getpid()}_{time.monotonic_ns()}"
    url = urlsplit(django_settings.DATABASE_URL)._replace(path=f"/{name}").geturl()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(gzip.decompress((DATA / "before-rooms.sql.gz").read_bytes()))

    def rows(query: str) -> list[Any]:
        with psycopg.connect(url, autocommit=True) as database:
            cursor = database.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    yield url, rows
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def old(transactional_db: Any, tmp_path: Path, model_server: Any) -> Iterator[Old]:
    env = {
        "OPENAI_BASE_URL": model_server.url,
        "OPENAI_API_KEY": "test",
        "AGENT_MODEL": "openai:demo",
        "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
        "PYTHONPATH": str(ROOT),
    }
    made = in_sqlite(tmp_path) if connection.vendor == "sqlite" else in_postgresql()
    for url, rows in made:
        yield Old(url, rows, env, tmp_path)


@pytest.fixture
def migrated(old: Old, receiver: Receiver) -> Old:
    old.manage("migrate", "-v0")
    old.rows(f"UPDATE notices_endpoint SET url = '{receiver.url}'")
    return old


@pytest.fixture
def worker(migrated: Old) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "celery", "-A", "agentsite", "worker", "-n", f"old-{os.getpid()}@test"]
    with open(migrated.folder / "worker.log", "wb") as log:
        running = subprocess.Popen(command, cwd=ROOT, env=migrated.env, stdout=log, stderr=log)
    yield running
    running.kill()
    running.wait()


def test_what_was_under_way_goes_on_and_runs_once(migrated: Old, worker: Any, receiver: Receiver) -> None:
    assert migrated.statuses()["waiting/t1"] == "interrupted"
    assert migrated.shell(DECIDE) == "approved"
    until(lambda: set(migrated.statuses().values()) == {"completed"})
    calls = migrated.rows("SELECT args_text, status, runs FROM agents_toolcall WHERE tool = 'book_hotel'")
    booked = [(json.loads(args)["hotel_name"], status, runs) for args, status, runs in calls]
    assert sorted(booked) == [(name, "succeeded", 1) for name in ("Grand", "Ritz", "Savoy")]
    assert migrated.rows("SELECT count(*) FROM agents_interrupt WHERE status = 'pending'") == [(0,)]
    until(lambda: receiver.got)


def test_rules_and_memories_still_count(migrated: Old, worker: Any) -> None:
    migrated.shell(SUBMIT)
    until(lambda: all(migrated.statuses()[f"new{number}/t"] == "completed" for number in range(2)))
    assert migrated.rows("SELECT uses FROM reviews_policyrule") == [(1,)]
    query = "SELECT result FROM agents_task WHERE query = 'what do you know about me'"
    [(result,)] = migrated.rows(query)
    told = result if isinstance(result, str) else json.dumps(result)
    assert all(text in told for text in ("window seats", "likes tea"))


def test_the_models_have_no_changes_that_no_migration_makes(migrated: Old) -> None:
    assert "No changes detected" in migrated.manage("makemigrations", "--check", "--dry-run")
    assert migrated.manage("migrate", "--plan").endswith("No planned migration operations.")
