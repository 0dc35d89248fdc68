"""A Redis that answers, but refuses: no worker ends, none loses the run it is in, and work goes on when it may."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from agents import broker
from agents.models import Attempt, Measure, Task
from agentsite.api import readiness
from benchmarks.harness.servers import Redis
from tests.support.helpers import again, answer_of
from tests.support.processes import until
from tests.support.proxy import Proxy

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.redis_server,
]
Act = Callable[[Any], Any]
STATES: dict[str, tuple[Act, Act]] = {
    "a replica": (lambda c: c.replicaof("127.0.0.1", "9"), lambda c: c.replicaof("NO", "ONE")),
    "no replicas": (
        lambda c: c.config_set("min-replicas-to-write", 1),
        lambda c: c.config_set("min-replicas-to-write", 0),
    ),
    "no right": (
        lambda c: c.acl_setuser("default", commands=["-brpop"], enabled=True, nopass=True, keys=["*"]),
        lambda c: c.acl_setuser("default", categories=["+@all"], enabled=True, nopass=True, keys=["*"]),
    ),
    "full": (lambda c: c.config_set("maxmemory", 1), lambda c: c.config_set("maxmemory", 0)),
}
ANSWERS = {
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "its master is down": b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    "its disk is full": b"-MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.\r\n",
    "wants a password": b"-NOAUTH Authentication required.\r\n",
    "wants another password": b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    "is no Redis": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.fixture
def own_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """One of the test's own. What the test submits is not published there: the worker's sweeper does that."""
    monkeypatch.setattr(broker, "publish", lambda task_pk: False)
    server = Redis(tmp_path)
    until(lambda: answers(server.port), 20)
    yield server
    server.stop()


@pytest.fixture
def proxy(own_redis: Redis) -> Iterator[Proxy]:
    made = Proxy(own_redis.port)
    yield made
    made.end()


def answers(port: int) -> bool:
    try:
        return bool(redis.Redis(port=port).ping())
    except redis.ConnectionError:
        return False


def ended(task: Task) -> Task:
    until(lambda: again(task).status in ("completed", "error"), 60)
    return task


def tries(workers: Any) -> int:
    """How often the worker has said that it tries again."""
    return int(workers.log().count("Trying to re") + workers.log().count("Trying again"))


def test_a_redis_that_refuses_ends_no_worker(invoke: Any, workers: Any, own_redis: Redis) -> None:
    worker = workers.start(REDIS_URL=own_redis.url)
    under_way = invoke('call wait with {"seconds": 10}')
    until(lambda: again(under_way).status == "running", 60)
    with redis.Redis(port=own_redis.port) as client:
        for state, (refuse, allow) in STATES.items():
            refuse(client)
            time.sleep(3)
            assert worker.poll() is None, (state, workers.log())
            allow(client)
    assert "waited 10" in answer_of(ended(under_way))
    assert "42" in answer_of(ended(invoke("multiply 6 by 7", session="other")))
    assert (worker.poll(), Attempt.objects.filter(task=under_way).count()) == (None, 1)


def test_whatever_it_answers_ends_no_worker(invoke: Any, workers: Any, proxy: Proxy) -> None:
    worker = workers.start(REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0")
    for what, text in ANSWERS.items():
        before = tries(workers)
        proxy.answer(text)
        until(lambda before=before: tries(workers) > before + 1, 60)  # type: ignore[misc]
        assert worker.poll() is None, (what, workers.log())
        proxy.forward()
    assert "42" in answer_of(ended(invoke("multiply 6 by 7")))


def test_a_worker_that_can_take_nothing_says_so(workers: Any, own_redis: Redis) -> None:
    workers.start(REDIS_URL=own_redis.url)
    until(lambda: readiness.workers() == {"workers_alive": 1, "workers_listening": 1}, 30)
    with redis.Redis(port=own_redis.port) as client:
        client.replicaof("127.0.0.1", "9")
        until(lambda: readiness.workers() == {"workers_alive": 1, "workers_listening": 0}, 60)
        until(lambda: Measure.objects.filter(name="agentsite_broker_errors_total").exists(), 30)
        client.replicaof("NO", "ONE")
    until(lambda: readiness.workers() == {"workers_alive": 1, "workers_listening": 1}, 30)


def test_garbage_in_the_queue_ends_no_worker(invoke: Any, workers: Any, own_redis: Redis) -> None:
    worker = workers.start(REDIS_URL=own_redis.url)
    key = f"{settings.REDIS_TRANSPORT_OPTIONS['global_keyprefix']}celery"
    with redis.Redis(port=own_redis.port) as client:
        for garbage in (b"\xff\x00", b"{", b"5", b"[]", b"{}", b'{"properties": {}, "body": "!"}', b"null"):
            client.lpush(key, garbage)
        assert "42" in answer_of(ended(invoke("multiply 6 by 7")))
        assert client.llen(key) == 0
    assert worker.poll() is None
