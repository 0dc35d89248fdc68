"""Both clients read a task to its end while the web server is killed and started again, and a review is decided."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agentsite_client import Client
from typing_extensions import override

from agents.models import Task
from agents.watching import publisher
from tests.support import node
from tests.support.helpers import ids_of, messages_of
from tests.support.processes import ROOT, Workers, until
from tests.support.sites import WebServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

READER = ROOT / "tests" / "clients" / "reader.mjs"
QUERY = 'call charge with {"amount": 1} then call wait with {"seconds": 1.5} then call charge with {"amount": 2}'


Reader = Callable[[WebServer, Task], Iterator[Any]]


class Reading(threading.Thread):
    """What a client has read so far of a task."""

    def __init__(self, events: Iterator[Any]) -> None:
        super().__init__(daemon=True)
        self.events, self.read, self.failure = events, [], None  # type: tuple[Iterator[Any], list[Any], Any]
        self.start()

    @override
    def run(self) -> None:
        try:
            for event in self.events:
                self.read.append(event)
        except Exception as failure:
            self.failure = failure

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.read]

    def statuses(self) -> list[str]:
        return [event["data"]["status"] for event in self.read if event["kind"] == "status"]

    def asks(self, times: int) -> bool:
        assert self.failure is None, self.failure
        return self.kinds().count("interrupt") == times


def in_python(site: WebServer, task: Task) -> Iterator[Any]:
    with Client(site.url, site.key) as client:
        for event in client.stream(ids_of(task)):  # type: ignore[arg-type]
            yield {"kind": event.kind, "seq": event.seq, "data": event.data}


def in_typescript(site: WebServer, task: Task) -> Iterator[Any]:
    command = [str(node.NODE), str(READER), site.url, site.key, *ids_of(task).values()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from map(json.loads, process.stdout)


readers = pytest.mark.parametrize("reader", [in_python, pytest.param(in_typescript, marks=pytest.mark.node)])


@readers
def test_it_misses_and_repeats_nothing(reader: Reader, site: WebServer, workers: Workers, invoke: Any) -> None:
    workers.start()
    task = invoke(QUERY)
    reading = Reading(reader(site, task))
    until(lambda: reading.asks(1))
    site.kill()
    site.start()
    client = Client(site.url, site.key)
    client.resume(ids_of(task), "accept")  # type: ignore[arg-type]
    until(lambda: reading.kinds().count("tool_started") == 2)
    site.kill()  # while the tool runs
    site.start()
    until(lambda: reading.asks(2))
    client.resume(client.status(ids_of(task)), "accept", interrupt_id=str(task.interrupts.get(status="pending").pk))  # type: ignore[arg-type]
    reading.join(60)
    assert (reading.failure, reading.read.pop()["data"]) == (None, {"status": "completed"})
    stored = [event for event in reading.read if event["kind"] != "chunk"]
    assert [event["seq"] for event in stored] == list(range(1, Task.objects.get(pk=task.pk).last_seq + 1))
    assert [event["data"] for event in stored if event["kind"] == "message"] == messages_of(task)


@readers
def test_the_pieces_of_an_answer_come_once(
    reader: Reader, site: WebServer, workers: Workers, invoke: Any, model_server: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(model_server, "pause", 0.5)  # seconds between two pieces
    task = invoke("multiply 6 by 7")
    reading = Reading(reader(site, task))
    until(lambda: publisher.is_watched(task.session_id))  # before the worker begins
    workers.start()
    until(lambda: "chunk" in reading.kinds())
    site.kill()
    site.start()
    reading.join(60)
    assert (reading.failure, reading.kinds()[-1]) == (None, "end")
    pieces: dict[str, str] = {}
    for event in reading.read:
        if event["kind"] == "chunk":
            before = pieces.get(event["data"]["message_id"], "")
            assert event["data"]["position"] == len(before)
            pieces[event["data"]["message_id"]] = before + event["data"]["text"]
    whole = {message["id"]: message["content"] for message in messages_of(task)}
    assert pieces
    assert all(whole[message].startswith(text) for message, text in pieces.items())


def test_a_session_is_read_on_over_its_tasks(site: WebServer, workers: Workers, invoke: Any) -> None:
    with Client(site.url, site.key) as client:
        first = invoke("multiply 6 by 7")
        reading = Reading({"kind": event.kind, "data": event.data} for event in client.stream_session("ann", "s1"))
        until(lambda: reading.read)  # it is watched before the task may end
        workers.start()
        until(lambda: reading.statuses().count("completed") == 1)
        site.kill()
        site.start()
        client.run("multiply 2 by 3", user_id="ann", session_id="s1", seconds=60)
        until(lambda: reading.statuses().count("completed") == 2)
        told = [event["data"]["id"] for event in reading.read if event["kind"] == "message"]
        assert told == [message["id"] for message in client.messages("ann", "s1")]
        client.delete_session("ann", "s1")
        reading.join(30)
    assert (reading.failure, reading.read[-1]["data"]) == (None, {"status": "not_found"})
    assert not Task.objects.filter(pk=first.pk).exists()
