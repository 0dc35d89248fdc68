"""What Docker asks a container: against a real web server, and the rows that workers leave."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from typing_extensions import override

from agents.models import WorkerProcess
from agentsite.server import healthcheck
from core.db.clock import seconds_from_now
from tests.support.processes import database_url

FILE = Path(healthcheck.__file__)


class Server(HTTPServer):
    """Answers /health as Django does: only to a host that is allowed."""

    status = 200


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        allowed = self.headers["Host"] == "agents.example.com" and self.path == "/health"
        self.send_response(self.server.status if allowed else 400)
        self.end_headers()

    @override
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def ask(part: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", str(FILE), part], env=env, capture_output=True, text=True, timeout=30)


def test_a_web_server_that_answers_is_healthy(server: Server) -> None:
    done = ask("web", PORT=str(server.server_port), ALLOWED_HOSTS="agents.example.com,other.example.com")
    assert done.returncode == 0, done.stdout


def test_one_that_answers_an_error_is_not(server: Server) -> None:
    server.status = 500
    done = ask("web", PORT=str(server.server_port), ALLOWED_HOSTS="agents.example.com")
    assert (done.returncode, done.stdout) == (1, "web: /health returned the status 500.\n")


def test_nor_one_that_is_not_there(server: Server) -> None:
    server.socket.close()
    assert ask("web", PORT=str(server.server_port)).returncode == 1


@pytest.mark.parametrize(
    ("allowed", "host"),
    [("a.example.com, b.example.com", "a.example.com"), (".example.com", "example.com"), ("*", "localhost")],
)
def test_it_asks_by_a_name_that_is_allowed(allowed: str, host: str) -> None:
    assert healthcheck.host_of({"ALLOWED_HOSTS": allowed}) == host


def test_an_unknown_part_is_told_what_there_is() -> None:
    done = ask("beat")
    assert (done.returncode, done.stdout) == (2, "Specify one of: web, worker.\n")


def test_without_its_database_a_worker_is_not_healthy() -> None:
    done = ask("worker", DATABASE_URL="postgres://nobody@127.0.0.1:9/nothing")
    assert done.returncode == 1
    assert done.stdout.startswith("worker: ")


@pytest.mark.skipif("postgres" not in settings.DATABASE_URL, reason="the check of a worker is for PostgreSQL")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("host", "age", "status"), [(socket.gethostname(), 5, 0), (socket.gethostname(), 90, 1), ("another", 5, 1)]
)
def test_a_worker_is_healthy_by_a_fresh_heartbeat_of_its_own_host(host: str, age: float, status: int) -> None:
    WorkerProcess.objects.create(name=f"{host}:1", beat_at=seconds_from_now(-age))
    done = ask("worker", DATABASE_URL=database_url())
    assert done.returncode == status, done.stdout


@pytest.mark.django_db
def test_it_asks_for_the_columns_that_there_are() -> None:
    with connection.cursor() as cursor:
        columns = {
            column.name for column in connection.introspection.get_table_description(cursor, "agents_workerprocess")
        }
    assert {"name", "beat_at"} <= columns
