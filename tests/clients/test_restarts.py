"""Both clients read a task to its end while the web server is killed and started again, and a review is decided."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agentsite_client import Client

from agents.models import Task
from tests.support import node
from tests.support.helpers import ids_of, messages_of
from tests.support.processes import ROOT, Workers, until
from tests.support.sites import WebServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

READER = ROOT / "tests" / "clients" / "reader.mjs"
QUERY = 'call charge with {"amount": 1} then call wait with {"seconds": 1.5} then call charge with {"amount": 2}'


class Reading(threading.Thread):
    """What a client has read so far of a task."""

    def __init__(self, events: Iterator[Any]) -> None:
        super().__init__(daemon=True)
        self.events, self.read, self.failure = events, [], None  # type: tuple[Iterator[Any], list[Any], Any]
        self.start()

    def run(self) -> None:
        try:
            for event in self.events:
                self.read.append(event)
        except Exception as failure:
            self.failure = failure

    def asks(self, times: int) -> bool:
        assert self.failure is None, self.failure
        return sum(event["kind"] == "interrupt" for event in self.read) == times


def in_python(site: WebServer, task: Task) -> Iterator[Any]:
    with Client(site.url, site.key) as client:
        for event in client.stream(ids_of(task)):  # type: ignore[arg-type]
            yield {"kind": event.kind, "seq": event.seq, "data": event.data}


def in_typescript(site: WebServer, task: Task) -> Iterator[Any]:
    command = [str(node.NODE), str(READER), site.url, site.key, *ids_of(task).values()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from map(json.loads, process.stdout)


@pytest.mark.parametrize("reader", [in_python, pytest.param(in_typescript, marks=pytest.mark.node)])
def test_it_misses_and_repeats_nothing(
    reader: Callable[[WebServer, Task], Iterator[Any]], site: WebServer, workers: Workers, invoke: Any
) -> None:
    workers.start()
    task = invoke(QUERY)
    reading = Reading(reader(site, task))
    until(lambda: reading.asks(1))
    site.kill()
    site.start()
    client = Client(site.url, site.key)
    client.resume(ids_of(task), "accept")  # type: ignore[arg-type]
    until(lambda: sum(event["kind"] == "tool_started" for event in reading.read) == 2)
    site.kill()  # while the tool runs
    site.start()
    until(lambda: reading.asks(2))
    client.resume(client.status(ids_of(task)), "accept", interrupt_id=str(task.interrupts.get(status="pending").pk))  # type: ignore[arg-type]
    reading.join(60)
    assert (reading.failure, reading.read.pop()["data"]) == (None, {"status": "completed"})
    stored = [event for event in reading.read if event["kind"] != "chunk"]
    assert [event["seq"] for event in stored] == list(range(1, Task.objects.get(pk=task.pk).last_seq + 1))
    assert [event["data"] for event in stored if event["kind"] == "message"] == messages_of(task)
