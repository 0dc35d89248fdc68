"""A process that answers how long pages and chores take on the database of DATABASE_URL."""

import os
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from agents import broker  # noqa: E402
from agents.models import Task  # noqa: E402
from agents.observability import totals  # noqa: E402
from benchmarks.scale_parts import pages, rows  # noqa: E402
from benchmarks.speed.processes import answer_commands  # noqa: E402

_clients: dict[str, Client] = {}
_addresses: dict[str, tuple[str, str]] = {}


def fill(tasks: int) -> int:
    """Migrate the database, and fill it if it is empty. Returns the number of tasks."""
    call_command("migrate", verbosity=0)
    if not Task.objects.exists():
        rows.fill(tasks)
    return Task.objects.count()


def names() -> list[str]:
    """Return the names of everything that is measured."""
    broker.publish = lambda *args: True
    totals.keep()
    _addresses.update(pages.addresses())
    for who in {who for who, _path in _addresses.values()}:
        _clients[who] = Client()
        _clients[who].force_login(User.objects.get(username=who))
    return [*_addresses, *pages.chores()]


def measure(name: str) -> float:
    """Return how many milliseconds it takes, with nothing in the cache."""
    cache.clear()
    started = time.perf_counter()
    _do(name)
    return (time.perf_counter() - started) * 1000


def statements(name: str) -> list[tuple[float, str]]:
    """Return its statements with their milliseconds."""
    cache.clear()
    connection.force_debug_cursor = True
    connection.queries_log.clear()
    with CaptureQueriesContext(connection):
        _do(name)
        return [(float(one["time"]) * 1000, one["sql"]) for one in connection.queries_log]


def _do(name: str) -> Any:
    if name not in _addresses:
        return pages.chores()[name]()
    who, path = _addresses[name]
    response = _clients[who].get(path, secure=True)
    assert response.status_code in (200, 302), (name, path, response.status_code)
    return response.content


if __name__ == "__main__":
    answer_commands({"fill": fill, "names": names, "measure": measure, "statements": statements})
