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
from tests.support.fork_server import ForkServer
from tests.support.processes import Workers, environment
from tests.support.sites import Site, WebServer


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
    celery_app.control.purge()  # a job of an earlier test would set off a failpoint before the worker is ready
    made = Workers(fork_server, environment(settings.OPENAI_BASE_URL), tmp_path)
    yield made
    made.end()


@pytest.fixture
def site(workers: Workers, fork_server: ForkServer, service: User, tmp_path: Path) -> Iterator[Site]:
    made = WebServer(fork_server, workers.env, tmp_path / "web.log", create_key(service, "streams"))
    made.start()
    yield made
    made.stop()
