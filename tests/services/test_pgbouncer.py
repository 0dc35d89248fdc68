"""PgBouncer in transaction mode in front of PostgreSQL (DATABASE_POOLER): web server, workers, sweeper, migrations."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.conf import settings

from agents.models import Task
from agentsite.accounts import create_key
from benchmarks.harness.servers import PgBouncer
from devserver.preflight import free_port
from reviews.decisions.services import Choice, decide
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import calls
from tests.support.processes import ROOT, database_url, until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.pgbouncer,
    pytest.mark.skipif(not settings.DATABASE_URL.startswith("postgres"), reason="needs PostgreSQL"),
]


@pytest.fixture(scope="module")
def bouncer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgBouncer]:
    server = PgBouncer(tmp_path_factory.mktemp("bouncer"), settings.DATABASE_URL)
    yield server
    server.stop()


@pytest.fixture
def env(bouncer: PgBouncer, transactional_db: Any) -> dict[str, str]:
    return {"DATABASE_URL": bouncer.url_of(database_url()), "DATABASE_POOLER": "transaction"}


def manage(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *args]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=120)


@pytest.fixture
def web(env: dict[str, str], service: Any, tmp_path: Path) -> Iterator[httpx.Client]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "agentsite.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "8"]
    command += ["--worker-class", "agentsite.server.gunicorn_worker.Worker", "--no-control-socket"]
    headers = {"Authorization": f"Bearer {create_key(service, 'test')}"}
    own = {**os.environ, **env, "ALLOWED_HOSTS": "*", "DEBUG": "true"}
    with (
        open(tmp_path / "web.log", "wb") as log,
        subprocess.Popen(command, cwd=ROOT, env=own, stdout=log, stderr=log) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client,
    ):
        try:
            until(lambda: reachable(client), 60)
            yield client
        finally:
            server.terminate()


def reachable(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def becomes(task: Task, status: str) -> Task:
    until(lambda: again(task).status == status, 60)
    return again(task)


def submit(web: httpx.Client, query: str) -> Task:
    ids = {"user_id": "ann", "session_id": f"s{Task.objects.count()}", "task_id": "t"}
    assert web.post("/agent/invoke", json={**ids, "query": query}).status_code == 202
    return Task.objects.get(session__session_id=ids["session_id"])


def test_tasks_reviews_and_lists_work_through_it(
    web: httpx.Client, env: dict[str, str], workers: Any, reviewer: Any
) -> None:
    workers.start(**env)
    workers.start(**env, WORKER_POOL="prefork", WORKER_CONCURRENCY="2")
    reviewed = [submit(web, f'call charge with {{"amount": {number}}}') for number in range(1, 5)]
    free = [submit(web, "multiply 6 by 7") for _ in range(12)]
    for task in reviewed:
        becomes(task, "interrupted")
        decide(open_review(task).pk, reviewer, Choice("accept"))
    for task in free:
        assert "42" in answer_of(becomes(task, "completed"))
    for task in reviewed:
        becomes(task, "completed")
    assert sorted(calls()) == [f"charge {number}" for number in range(1, 5)]
    assert web.get("/agent/session/ann/s0").status_code == 200, "which reads its tasks with an iterator"
    assert "prepared statement" not in workers.log(0) + workers.log(1)


def test_migrations_run_through_it_and_say_what_the_role_needs(
    bouncer: PgBouncer, empty_database: dict[str, str]
) -> None:
    env = {"DATABASE_URL": bouncer.url_of(empty_database["DATABASE_URL"]), "DATABASE_POOLER": "transaction"}
    done = manage("migrate", "--noinput", **env)
    assert done.returncode == 0, done.stderr
    assert "core.W001" in done.stderr
    with psycopg.connect(empty_database["DATABASE_URL"], autocommit=True) as database:
        # For the database, because the tests that run beside this one use the same role.
        name = empty_database["DATABASE_URL"].rpartition("/")[2]
        database.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '15s'")
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        database.execute(others, (name,))  # a setting of the database counts for new connections only
    checked = manage("check", "--database", "default", **env)
    assert (checked.returncode, "core.W001" in checked.stderr) == (0, False), checked.stderr


def test_control_without_the_setting_it_refuses_every_connection(env: dict[str, str]) -> None:
    done = manage("migrate", "--check", DATABASE_URL=env["DATABASE_URL"], DATABASE_POOLER="")
    assert done.returncode != 0
    assert "unsupported startup parameter" in done.stderr
