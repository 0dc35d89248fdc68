"""Each list, page, count and chore reads as much of a large table as it shows, and not all of it.

The plans are those of a few thousand rows, with small bounds: a plan that reads more than READ rows reads a table.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import Task
from agents.observability import totals
from agentsite.api import system
from benchmarks.scale_parts import pages, rows
from core import admin_lists
from reviews.console import queue
from tests.support.accounts import client_of, pages_of

pytestmark = pytest.mark.django_db

TASKS = 4_000
BOUND = 120  # in place of the bounds on counts, searches and the like
PAGE = 50  # rows of a list, which may not show all of them
READ = 1_300  # rows of one table in one statement; all open reviews may be read, and there are 500
LARGE = (
    *("agents_task", "agents_session", "agents_interrupt", "agents_attempt", "agents_toolcall"),
    *("agents_modelcall", "agents_dayusage"),
    *("reviews_decision", "reviews_auditentry", "memory_memory", "notices_delivery"),
)
LINEAR = {  # what reads more, and why
    "cleanup_sessions --dry-run",  # says how many it would delete
    "queue ?q=tool4 (finance)",  # looks through the open reviews for those that this reader may see
}


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Rows for all tests of this module, which change none."""
    with django_db_blocker.unblock():
        with transaction.atomic():
            rows.fill(TASKS)
            if connection.vendor == "postgresql":  # would be cheap for tables as small as these
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL enable_seqscan = off")
            yield
            transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def _small_bounds(filled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (admin_lists, "COUNTED"),
        (admin_lists, "NEWEST"),
        (queue, "TOOLS_OF"),
        (system, "WALKED"),
        (totals, "EXACT"),
    ):
        monkeypatch.setattr(module, name, BOUND)
    for name in ("list_per_page", "list_max_show_all"):
        monkeypatch.setattr(admin.ModelAdmin, name, PAGE)
    monkeypatch.setattr(totals, "SETTLED", 0.0)
    totals.keep()


def statements(do: Callable[[], Any]) -> list[str]:
    """The statements that read."""
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        do()
    return [one["sql"] for one in captured.captured_queries if one["sql"].startswith(("SELECT", "\n    WITH"))]


def faults(sql: str) -> Iterator[str]:
    """What is wrong with the plan of a statement."""
    if not any(table in sql for table in LARGE):
        return
    if re.search(r'^SELECT COUNT\(\*\) AS "__count" FROM "(\w+)"$', sql):
        yield "counts a whole table"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            details = [detail for *_ids, detail in cursor.fetchall()]
            # A scan may end as soon as enough rows are found, if these are many.
            ends = "LIMIT" in sql and not any("B-TREE FOR ORDER BY" in detail for detail in details)
            ends = ends and ("WHERE" not in sql or '"deciders"' in sql)
            for detail in details:
                if not ends and (found := re.fullmatch(r"SCAN (\w+)", detail)) and _is_large(found[1], sql):
                    yield detail
        else:
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}")
            [(found,)] = cursor.fetchall()
            plan = json.loads(found) if isinstance(found, str) else found
            yield from _reading(plan[0]["Plan"])


def _is_large(alias: str, sql: str) -> bool:
    tables = set(re.findall(rf'"(\w+)" {alias}\b', sql))  # several, if parts of the statement use the same alias
    return alias in LARGE or (bool(tables) and tables <= set(LARGE))


def _reading(node: dict[str, Any]) -> Iterator[str]:
    table, loops = node.get("Relation Name"), node["Actual Loops"]
    read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * loops
    if table in LARGE and read > READ:
        yield f"{node['Node Type']} of {table} reads {read} rows"
    for part in node.get("Plans", ()):
        yield from _reading(part)


def wrong(name: str, do: Callable[[], Any]) -> list[str]:
    """The faults of everything that it asks the database."""
    return [f"{name}: {fault}\n  {sql[:1500]}" for sql in statements(do) for fault in faults(sql)]


def test_the_bounds_are_small_and_the_tables_are_not(filled: None) -> None:
    assert Task.objects.count() == TASKS > 2 * READ > BOUND
    assert list(faults('SELECT "query" FROM "agents_task" ORDER BY "query"'))
    assert list(faults('SELECT COUNT(*) AS "__count" FROM "agents_task"'))


def test_every_page_of_the_benchmark(filled: None) -> None:
    found = []
    for name, (who, path) in pages.addresses().items():
        if name in LINEAR:
            continue
        user = User.objects.get(username=who)
        client: Any = pages_of(user) if path.startswith("/admin/") else client_of(user)
        found += wrong(name, lambda client=client, path=path: client.get(path))  # type: ignore[misc]
    assert not found, "\n".join(found)


def test_every_change_list(filled: None) -> None:
    """Also one that is new."""
    client = pages_of(User.objects.get(username="root"))
    found = []
    for model in admin.site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        found += wrong(address, lambda address=address: opened(client, address))  # type: ignore[misc]
        found += wrong(f"{address}?p=2", lambda address=address: opened(client, f"{address}?p=2"))  # type: ignore[misc]
    assert not found, "\n".join(found)


def opened(client: Client, address: str) -> None:
    assert client.get(address).status_code == 200


def test_every_chore(filled: None, published: list[Any]) -> None:
    found = []
    for name, chore in pages.chores().items():
        if name not in LINEAR:
            found += wrong(name, chore)
    assert not found, "\n".join(found)
