"""A database that the code before the move into rooms has filled goes on: nothing is asked again, nothing runs twice.

The fixture holds a completed task, one that waits for its review with another one queued behind it, one that was
approved and whose job was lost, a rejected one, an *always allow* rule, two memories, and notices under way.
"""

import gzip
import json
import os
import shutil
import sqlite3
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

from tests.support.fork_server import Forked, ForkServer
from tests.support.processes import FAST, ROOT, in_shell, until
from tests.support.receiver import Receiver

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

Rows = Callable[[str], list[Any]]
DATA = Path(__file__).parent / "data"
MIGRATE = """
from django.core.management import call_command
call_command("migrate", verbosity=0, skip_checks=False)
"""
COMPARE = """
from django.core.management import call_command
call_command("makemigrations", "--check", "--dry-run", skip_checks=False)
call_command("migrate", "--plan")
"""
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

    def __init__(self, url: str, rows: Rows, env: dict[str, str], folder: Path, server: ForkServer) -> None:
        self.rows, self.folder, self.server = rows, folder, server
        self.env = {**os.environ, **FAST, **env, "DATABASE_URL": url, "AGENTSITE_DATA": str(folder / "data")}

    def shell(self, code: str) -> str:
        log = self.folder / "shell.log"
        assert in_shell(self.server, code, {**self.env, "LOG_LEVEL": "ERROR"}, log).wait(120) == 0, log.read_text()
        return log.read_text().strip()

    def statuses(self) -> dict[str, str]:
        """The status of each task, by session and task."""
        query = (
            "SELECT s.session_id, t.task_id, t.status FROM agents_task t JOIN agents_session s ON s.id = t.session_id"
        )
        return {f"{session}/{task}": status for session, task, status in self.rows(query)}


def in_sqlite(folder: Path, template: str = "") -> Iterator[tuple[str, Rows]]:
    file = folder / "old.sqlite3"
    if template:
        shutil.copy(template.removeprefix("sqlite:///"), file)
    else:
        file.write_bytes(gzip.decompress((DATA / "before-rooms.sqlite3.gz").read_bytes()))

    def rows(query: str) -> list[Any]:
        with closing(sqlite3.connect(file, timeout=30)) as database:
            found = database.execute(query).fetchall()
            database.commit()
            return found

    yield f"sqlite:///{file}", rows


def in_postgresql(template: str = "") -> Iterator[tuple[str, Rows]]:
    name = f"agentsite_old_{os.getpid()}_{time.monotonic_ns()}"
    url = urlsplit(django_settings.DATABASE_URL)._replace(path=f"/{name}").geturl()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {urlsplit(template).path[1:] or 'template1'}")
    if not template:
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(gzip.decompress((DATA / "before-rooms.sql.gz").read_bytes()))

    def rows(query: str) -> list[Any]:
        with psycopg.connect(url, autocommit=True) as database:
            cursor = database.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    yield url, rows
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def old(folder: Path, model_url: str, server: ForkServer, template: str = "") -> Iterator[Old]:
    """The filled database: as it was then, or a copy of one that was migrated."""
    env = {
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": "test",
        "AGENT_MODEL": "openai:demo",
        "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
        "PYTHONPATH": str(ROOT),
    }
    made = in_sqlite(folder, template) if connection.vendor == "sqlite" else in_postgresql(template)
    for url, rows in made:
        yield Old(url, rows, env, folder, server)


@pytest.fixture(scope="module")
def template(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any, model_server: Any, fork_server: ForkServer
) -> Iterator[Old]:
    """What the migrations of today make of it, once for all tests: each goes on with a copy."""
    with django_db_blocker.unblock():
        for made in old(tmp_path_factory.mktemp("template"), model_server.url, fork_server):
            made.shell(MIGRATE)
            yield made


@pytest.fixture
def migrated(template: Old, transactional_db: Any, tmp_path: Path, model_server: Any, receiver: Receiver) -> Any:
    for made in old(tmp_path, model_server.url, template.server, template.env["DATABASE_URL"]):
        made.rows(f"UPDATE notices_endpoint SET url = '{receiver.url}'")
        yield made


@pytest.fixture
def worker(migrated: Old) -> Iterator[Forked]:
    args = ("-A", "agentsite", "worker", "-n", f"old-{os.getpid()}@test")
    log = migrated.folder / "worker.log"
    running = migrated.server.start("celery", *args, cwd=ROOT, env=migrated.env, log=log)
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


def test_the_models_have_no_changes_that_no_migration_makes(template: Old) -> None:
    said = template.shell(COMPARE)
    assert "No changes detected" in said
    assert said.endswith("No planned migration operations.")
