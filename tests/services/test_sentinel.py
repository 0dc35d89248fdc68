"""Redis behind Sentinel as the broker: work goes on after a failover."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.conf import settings as django_settings

from agents.models import Task
from agentsite import celery_app
from benchmarks.harness.servers import Redis, free_port
from tests.support.helpers import again
from tests.support.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.redis_server]
MASTER = "mymaster"
CONFIG = """
port {port}
bind 127.0.0.1
sentinel monitor {name} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {name} 1000
sentinel failover-timeout {name} 4000
"""


class Pair:
    """A Redis, its replica, and a Sentinel that watches both."""

    def __init__(self, folder: Path) -> None:
        for name in ("first", "second"):
            (folder / name).mkdir()
        self.first = Redis(folder / "first", ("--save", ""))
        self.second = Redis(folder / "second", ("--save", "", "--replicaof", "127.0.0.1", str(self.first.port)))
        self.port = free_port()
        config = folder / "sentinel.conf"
        config.write_text(CONFIG.format(port=self.port, name=MASTER, master=self.first.port))
        command = ["redis-server", str(config), "--sentinel", "--dir", str(folder)]
        self.sentinel = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        until(lambda: self.replicas() == 1, 30)

    def replicas(self) -> int:
        return int(self.ask(lambda client: client.sentinel_master(MASTER)["num-slaves"]) or 0)

    def master(self) -> int:
        return int((self.ask(lambda client: client.sentinel_get_master_addr_by_name(MASTER)) or (0, 0))[1])

    def ask(self, question: Any) -> Any:
        try:
            with redis.Redis(port=self.port, decode_responses=True) as client:
                return question(client)
        except redis.RedisError:
            return None

    def stop(self) -> None:
        for process in (self.sentinel, self.second.process, self.first.process):
            process.kill()
            process.wait()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    url = f"sentinel://127.0.0.1:{made.port}"
    app = Celery("elsewhere", broker=url, set_as_current=False)
    app.conf.broker_transport_options = {**django_settings.REDIS_TRANSPORT_OPTIONS, "master_name": MASTER}
    app.set_current()
    yield made
    celery_app.set_current()
    made.stop()


def becomes(task: Task, status: str) -> Task:
    until(lambda: again(task).status == status, 60)
    return again(task)


def test_work_goes_on_after_a_failover(invoke: Any, workers: Any, pair: Pair) -> None:
    worker = workers.start(CELERY_BROKER_URL=f"sentinel://127.0.0.1:{pair.port}")
    becomes(invoke("multiply 6 by 7"), "completed")
    pair.first.process.kill()
    during = invoke("multiply 6 by 7", session="during")
    until(lambda: pair.master() == pair.second.port, 30)
    failed_over = time.monotonic()
    becomes(during, "completed")
    becomes(invoke("multiply 6 by 7", session="after"), "completed")
    assert time.monotonic() - failed_over < 30
    assert worker.poll() is None
