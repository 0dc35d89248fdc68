"""Real worker processes on the test database and a real broker (files, or Redis where REDIS_URL is set)."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import connection

from agentsite import celery_app
from agentsite.accounts import create_key
from devserver.preflight import free_port
from tests.support.fork_server import ForkServer
from tests.support.processes import FAST, ROOT, Workers, database_url, until
from tests.support.sites import BEAT, WORKER, Site, answers


@pytest.fixture
def empty_database(transactional_db: Any) -> Iterator[dict[str, str]]:
    """The environment of a service on a database of its own: SQLite in its folder, or a new one in PostgreSQL."""
    if connection.vendor == "sqlite":
        yield {}
        return
    name = f"agentsite_{os.getpid()}_{time.monotonic_ns()}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield {"DATABASE_URL": urlsplit(django_settings.DATABASE_URL)._replace(path=f"/{name}").geturl()}
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def published() -> list[Any]:
    """Here jobs go to the real broker."""
    return []


@pytest.fixture
def workers(
    transactional_db: Any, oracle: None, settings: Any, tmp_path: Path, fork_server: ForkServer
) -> Iterator[Workers]:
    env = {
        **os.environ,
        **FAST,
        "DATABASE_URL": database_url(),
        "OPENAI_BASE_URL": settings.OPENAI_BASE_URL,
        "AGENT_MODEL": "openai:demo",
        "AGENT_TOOLS": "tests.support.oracle",
        "PYTHONPATH": str(ROOT),
    }
    celery_app.control.purge()  # a job of an earlier test would set off a failpoint before the worker is ready
    made = Workers(fork_server, env, tmp_path)
    yield made
    made.end()


@pytest.fixture
def site(workers: Workers, fork_server: ForkServer, service: User, tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    command = ["agentsite.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "2", "--worker-class", WORKER]
    env = {**workers.env, "DJANGO_SETTINGS_MODULE": "agentsite.settings", "STREAM_HEARTBEAT_SECONDS": str(BEAT)}
    log = tmp_path / "web.log"
    server = fork_server.start("gunicorn", *command, "--no-control-socket", cwd=ROOT, env=env, log=log)
    found = Site(port, create_key(service, "streams"))
    until(lambda: answers(f"{found.url}/health") or server.poll())
    assert server.poll() is None, log.read_text()
    yield found
    server.terminate()
    server.wait(30)
