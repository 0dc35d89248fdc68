"""Shared fixtures: real parts throughout. The model is the rule model, over HTTP."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client, TransactionTestCase
from django.utils import translation
from rest_framework.test import APIClient

from agents import broker
from agents.checkpoints import fenced_saver, tables
from agents.models import Interrupt, Task
from agents.runtime import registry
from agents.worker import jobs
from agents.worker.heartbeat import Heart
from agentsite import celery_app
from core.db.connections import limit_waits
from demo.model_server import serve
from reviews.audit import append_only
from tests.support.accounts import client_of, grant, pages_of
from tests.support.concurrency import lapse_all
from tests.support.fork_server import ForkServer, running
from tests.support.helpers import noting, open_review
from tests.support.oracle import Crash
from tests.support.processes import ROOT
from tests.support.receiver import Receiver, receiving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests that need a program which this machine lacks, in one line; never one that is required."""
    required = os.environ.get("AGENTSITE_TEST_REQUIRE", "").split(",")
    if "services" in required:
        return
    for program in ("redis-server", "rabbitmq-server", "pgbouncer", "nginx"):
        if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
            reason = f"no {program} on this machine: the tests that need one of their own are left out"
            for item in items:
                if item.get_closest_marker(program.replace("-", "_")):
                    item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _close_pools(django_db_setup: None) -> Iterator[None]:
    """Before the test database is dropped."""
    yield
    fenced_saver.close_pools()


@pytest.fixture(scope="session", autouse=True)
def _quick_to_empty(django_db_setup: None) -> Iterator[None]:
    """Between two tests only the tables that were filled are emptied, and for just that the audit log lets go.

    Django's own way empties all of them and makes the permissions anew: that would take longer than most tests.
    """
    own = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]
    TransactionTestCase._fixture_teardown = lambda self: empty_tables()  # type: ignore[attr-defined]
    yield
    TransactionTestCase._fixture_teardown = own  # type: ignore[attr-defined]


def empty_tables() -> None:
    """Empty every table of a model but those that `migrate` fills."""
    kept = {ContentType._meta.db_table, Permission._meta.db_table}
    names = sorted({*connection.introspection.django_table_names(only_existing=True, include_views=False)} - kept)
    with transaction.atomic(), connection.cursor() as cursor:  # keys to other tables are checked at its end
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in names))
        filled = [name for (name,) in cursor.fetchall()]
        guarded = append_only.TABLE in filled
        if guarded:
            append_only.remove(connection)
        for name in filled:
            cursor.execute(f"DELETE FROM {name}")
        if guarded:
            append_only.install(connection)


@pytest.fixture(scope="session")
def model_server() -> Iterator[Any]:
    with serve(port=0) as server:
        yield server


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """One for all the tests that start workers, or let a process of its own do something in `manage.py shell`."""
    with running(ROOT) as server:
        yield server


@pytest.fixture(autouse=True)
def fast(settings: Any, model_server: Any, tmp_path: Any) -> None:
    """Every test talks to the rule model, hashes quickly and mails into its own folder."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.AXES_ENABLED = False  # `Client.login` has no request; the tests of the lock-out switch it on
    settings.OPENAI_BASE_URL = model_server.url
    settings.OPENAI_API_KEY = "test"
    model_server.misbehaviours.forget()
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "MODEL": "openai:demo"}}
    settings.WHITENOISE_AUTOREFRESH = True
    settings.STALENESS_SECONDS = 0  # tests/agentsite/test_staleness.py is about it
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "outbox")
    registry.agent.cache_clear()
    registry.graph.cache_clear()
    translation.activate(settings.LANGUAGE_CODE)  # a page that the last test read may have been in another language
    limit_waits(None)  # that of a request, which an import of wsgi sets: beside other runs a statement may take longer


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that were published, in order; a test delivers them when it wants to."""
    jobs_out: list[Any] = []
    monkeypatch.setattr(broker, "publish", noting(jobs_out))
    monkeypatch.setattr(broker, "remember_later", lambda task_pk: True)
    monkeypatch.setattr(broker, "waiting", lambda: len(jobs_out))
    return jobs_out


@pytest.fixture
def work(published: list[Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Deliver published jobs to this process as a worker, until there is none left. No heart beats beside the test."""
    monkeypatch.setattr(Heart, "start", lambda self: None)

    def deliver() -> None:
        while published:
            jobs.run(str(published.pop(0)))

    return deliver


@pytest.fixture
def ann(db: Any) -> User:
    """An end user with a login of her own."""
    return User.objects.create_user("ann")


@pytest.fixture
def bob(db: Any) -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def service(db: Any) -> User:
    """A service account: acts for any user."""
    return grant(User.objects.create_user("service"), "agents.act_for_any_user")


@pytest.fixture
def reviewer(db: Any) -> User:
    return grant(User.objects.create_user("rita", is_staff=True), "reviews.decide_review", "reviews.view_review")


@pytest.fixture
def desk(reviewer: User) -> Client:
    """The admin as the reviewer sees it."""
    return pages_of(reviewer)


@pytest.fixture
def booking(invoke: Callable[..., Task], work: Callable[[], None]) -> Interrupt:
    """A call that waits for its review."""
    task = invoke("book the Ritz for 2 nights")
    work()
    return open_review(task)


@pytest.fixture
def api(service: User) -> APIClient:
    """The API as the service account calls it."""
    return client_of(service)


@pytest.fixture
def invoke(api: APIClient) -> Callable[..., Task]:
    """Submit a task for ann and return its row."""
    count = iter(range(1000))

    def submit(query: str, *, session: str = "s1", task: str = "", user: str = "ann", **more: Any) -> Task:
        ids = {"user_id": user, "session_id": session, "task_id": task or f"t{next(count)}"}
        response = api.post("/agent/invoke", {**ids, "query": query, **more})
        assert response.status_code == 202, response.content
        return Task.objects.get(session__user_id=user, session__session_id=session, task_id=ids["task_id"])

    return submit


@pytest.fixture
def no_checkpoints(transactional_db: Any) -> None:
    """Tables that are no models outlive a test."""
    with connection.cursor() as cursor:
        for table in tables.TABLES[connection.vendor]:
            cursor.execute(f"DELETE FROM {table}")


@pytest.fixture
def event() -> threading.Event:
    return threading.Event()


@pytest.fixture
def oracle(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent also has the oracle's tools, and their trace is empty."""
    monkeypatch.setenv("ORACLE", str(tmp_path / "oracle"))
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.oracle"]}}


@pytest.fixture
def odd_tools(settings: Any, oracle: None) -> None:
    """And the odd ones."""
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.odd_tools"]}}


@pytest.fixture
def changing_tools(settings: Any, oracle: None) -> None:
    """And those whose schemas change what they read."""
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.changing_tools"]}}


@pytest.fixture
def crash(work: Callable[[], None], published: list[Any]) -> Callable[[], None]:
    """Work until the worker dies, then let its lease run out and the sweeper come by."""

    def die() -> None:
        with pytest.raises(Crash):
            work()
        lapse_all()

    return die


@pytest.fixture
def real_broker(monkeypatch: Any, settings: Any) -> Iterator[Callable[[int], None]]:
    """Publish for real, to the Redis that is said to be on this port."""
    monkeypatch.undo()

    def use(port: int) -> None:
        app = Celery("elsewhere", broker=f"redis://127.0.0.1:{port}/0", set_as_current=False)
        app.conf.broker_transport_options = settings.REDIS_TRANSPORT_OPTIONS
        app.set_current()

    yield use
    celery_app.set_current()


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A receiver of webhooks, which may be sent to although it is on loopback."""
    settings.WEBHOOK_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with receiving() as made:
        yield made
