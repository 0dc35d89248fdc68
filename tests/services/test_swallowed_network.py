"""A network that swallows packets, in front of PostgreSQL and Redis: nobody hangs, and work goes on when it is back."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from django.conf import settings
from django.db import connection

from agentsite.accounts import create_key
from core.db.connections import limit_waits, patience
from core.db.postgresql.answers import Connection
from devserver.preflight import free_port
from tests.support.helpers import again, answer_of
from tests.support.processes import ROOT, database_url, until
from tests.support.proxy import Proxy

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.skipif(not (settings.DATABASE_URL and settings.REDIS_URL), reason="needs PostgreSQL and Redis"),
]
AWAY = 25.0  # seconds
CLIENTS = 24  # three for each thread of the web server


def through(url: str) -> tuple[Proxy, str]:
    """A proxy to the server of this URL, and the URL by way of it."""
    parts = urlsplit(url)
    proxy = Proxy(parts.port or {"redis": 6379}.get(parts.scheme, 5432))
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return proxy, parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}").geturl()


class Network:
    """Both proxies at once."""

    def __init__(self) -> None:
        self.database, database = through(database_url())
        self.redis, redis = through(settings.REDIS_URL)
        self.env = {"DATABASE_URL": database, "REDIS_URL": redis}

    def swallow(self) -> None:
        self.database.swallow()
        self.redis.swallow()

    def forward(self) -> None:
        self.database.forward()
        self.redis.forward()

    def end(self) -> None:
        self.database.end()
        self.redis.end()


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.end()


@pytest.fixture
def web(network: Network, workers: Any, service: Any) -> Iterator[httpx.Client]:
    """A web server behind that network, and a client with a key."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "agentsite.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "8"]
    command += ["--worker-class", "agentsite.server.gunicorn_worker.Worker", "--no-control-socket"]
    env = {**os.environ, **network.env, "ALLOWED_HOSTS": "*", "DEBUG": "true", "RATE_PRINCIPAL": "100000/min"}
    headers = {"Authorization": f"Bearer {create_key(service, 'test')}"}
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        open(workers.folder / "web.log", "wb") as log,
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120, limits=limits) as client,
    ):
        until(lambda: reachable(client), 60)
        yield client
        server.terminate()


def reachable(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def ask(client: httpx.Client, number: int) -> tuple[int, float]:
    """The status of an answer, and after how many seconds it came."""
    started = time.monotonic()
    if number % 2:
        body = {"user_id": "ann", "session_id": f"s{number}-{started}", "query": "multiply 6 by 7"}
        answer = client.post("/agent/invoke", json=body)
    else:
        answer = client.get("/agent/status/ann/s/t") if number % 4 else client.get("/system/info")
    return answer.status_code, time.monotonic() - started


def ask_all(client: httpx.Client) -> list[tuple[int, float]]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(lambda number: ask(client, number), range(CLIENTS)))


def test_requests_are_told_within_15_seconds_and_served_soon_after(web: httpx.Client, network: Network) -> None:
    assert max(status for status, _ in ask_all(web)) < 500  # its pool is full of connections
    swallowed = time.monotonic()
    network.swallow()
    first, then = ask_all(web), ask_all(web)
    assert {status for status, _ in first + then} == {503}
    assert max(seconds for _, seconds in first + then) < 15, (first, then)
    time.sleep(max(0.0, AWAY - (time.monotonic() - swallowed)))
    network.forward()
    until(lambda: reachable(web), 8)
    assert {status for status, _ in ask_all(web)} <= {200, 202, 404}


def test_with_only_redis_swallowed_work_is_accepted(web: httpx.Client, network: Network) -> None:
    ask_all(web)
    network.redis.swallow()
    answers = [*ask_all(web), *ask_all(web)]
    assert max(status for status, _ in answers) < 500
    assert max(seconds for _, seconds in answers) < 15, answers


def test_a_worker_goes_on_within_seconds(invoke: Any, workers: Any, network: Network) -> None:
    worker = workers.start(**network.env, TASK_LEASE_SECONDS="10", TASK_HEARTBEAT_SECONDS="2")
    under_way = invoke('call wait with {"seconds": 5}')
    until(lambda: again(under_way).status == "running", 60)
    network.swallow()
    waiting = invoke("multiply 6 by 7", session="other")
    time.sleep(AWAY)
    network.forward()
    until(lambda: again(waiting).status == "completed", 20)
    until(lambda: again(under_way).status == "completed", 40)
    assert "42" in answer_of(waiting)
    assert worker.poll() is None


def test_an_answer_that_does_not_come_is_given_up_and_its_connection_closed() -> None:
    proxy, url = through(database_url())
    with patience(1), Connection.connect(url, autocommit=True) as one:
        proxy.swallow()
        with pytest.raises(Exception, match="not answered within 1 s"):
            one.execute("SELECT 1")
        assert one.closed
    proxy.end()


def test_control_psycopgs_own_connection_waits_on() -> None:
    proxy, url = through(database_url())
    with psycopg.connect(url, autocommit=True) as one:
        proxy.swallow()
        waiting = threading.Thread(target=lambda: one.execute("SELECT 1"), daemon=True)
        with patience(0.5):
            waiting.start()
            waiting.join(3)
        assert waiting.is_alive()
        proxy.forward()
        waiting.join(10)
        assert not waiting.is_alive()
    proxy.end()


def test_whoever_has_patience_waits_in_spite_of_the_processs_limit() -> None:
    limit_waits(0.5)
    try:
        with Connection.connect(database_url(), autocommit=True) as one:
            with patience(None):
                assert one.execute("SELECT pg_sleep(1)").rowcount == 1
            with pytest.raises(Exception, match="not answered"):
                one.execute("SELECT pg_sleep(1)")
    finally:
        limit_waits(None)


def test_connections_look_after_themselves() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW tcp_keepalives_idle")
        assert cursor.fetchone() == ("10",)
    parameters = connection.get_connection_params()
    assert (parameters["tcp_user_timeout"], parameters["keepalives_idle"]) == (10_000, 10)
