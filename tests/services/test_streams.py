"""Streams from a real web server, over HTTP, of what a real worker does."""

import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from typing_extensions import override

from agents.models import Event, Task
from agents.watching import publisher
from core.models import ApiKey
from reviews.decisions.services import Choice, decide
from tests.support.helpers import answer_of, messages_of, open_review
from tests.support.processes import Workers, until
from tests.support.sites import BEAT, Site, read

pytestmark = pytest.mark.django_db(transaction=True)


def path_of(task: Task) -> str:
    return f"/agent/stream/ann/s1/{task.task_id}"


class Client(threading.Thread):
    """Reads a task's stream to its end, and drops the connection again and again: after some events, or some time."""

    def __init__(self, site: Site, task: Task, drops: int) -> None:
        super().__init__(daemon=True)
        self.site, self.path, self.drops = site, path_of(task), drops
        self.dropped, self.last, self.end = 0, "", ""
        self.seen: list[Any] = []
        self.start()

    @override
    def run(self) -> None:
        rng = random.Random(7)
        while not self.end:
            if self.dropped < self.drops:
                self.read(rng.randrange(1, 6), rng.uniform(0.01, 0.15))
                self.dropped += 1
            else:
                self.read(10**6, 60.0)

    def read(self, most: int, seconds: float) -> None:
        """Read so many events, or until nothing comes for so long."""
        headers = {"Last-Event-ID": self.last} if self.last else {}
        with suppress(httpx.ReadTimeout), self.site.open(self.path, seconds, **headers) as response:
            assert response.status_code == 200, response.read()
            for number, (name, id_, data) in enumerate(read(response.iter_lines()), 1):
                if name == "end":
                    self.end = data["status"]
                elif name != "chunk":
                    self.last = id_
                    self.seen.append(data)
                if self.end or number >= most:
                    return


def test_a_client_that_reconnects_anywhere_misses_nothing(
    site: Site, workers: Workers, invoke: Any, reviewer: User
) -> None:
    """Two reviews, a worker that is killed between them, and 200 dropped connections."""
    worker = workers.start()
    between = " then ".join(['call wait with {"seconds": 0.2}'] * 8)
    task = invoke(f'call charge with {{"amount": 1}} then {between} then call charge with {{"amount": 2}}')
    client = Client(site, task, 200)
    first = until(lambda: pending(task))
    decide(first.pk, reviewer, Choice("accept"))
    until(lambda: Event.objects.filter(task=task, kind="tool_started").count() > 3)
    worker.kill()
    workers.start()
    until(lambda: pending(task, first.pk))
    until(lambda: client.dropped >= 195)  # the rest while it ends
    decide(open_review(task).pk, reviewer, Choice("accept"))
    until(lambda: client.end)
    assert (client.end, client.dropped > 195) == ("completed", True)
    assert "charged 2" in answer_of(task)
    assert [one["seq"] for one in client.seen] == list(range(1, Task.objects.get(pk=task.pk).last_seq + 1))
    assert [one["data"] for one in client.seen if one["kind"] == "message"] == messages_of(task)


def pending(task: Task, *others: Any) -> Any:
    return task.interrupts.filter(status="pending").exclude(pk__in=others).first()


def test_a_revoked_key_ends_the_stream_within_a_heartbeat(site: Site, invoke: Any) -> None:
    task = invoke("multiply 6 by 7")  # no worker runs
    with site.open(path_of(task)) as response:
        lines = response.iter_lines()
        assert next(read(lines))[0] == "status"
        ApiKey.objects.update(revoked=True)
        began = time.monotonic()
        assert not list(read(lines))
        assert time.monotonic() - began < BEAT + 4  # and STALENESS_SECONDS, and a slow machine
    assert site.get(path_of(task)).status_code == 401


def test_many_open_streams_leave_the_threads_to_others(site: Site, invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    opened = [site.open(path_of(task)) for _ in range(20)]  # the server has two threads
    for one in opened:
        assert next(one.__enter__().iter_lines()) == "retry: 1000"
    assert site.get("/agent/status/ann/s1/" + task.task_id).json()["status"] == "pending"
    for one in opened:
        one.__exit__(None, None, None)


def test_wait_answers_when_the_task_has_ended(site: Site, workers: Workers, invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    began = time.monotonic()
    assert site.get(f"/agent/status/ann/s1/{task.task_id}?wait=1").json()["status"] == "pending"
    assert time.monotonic() - began >= 1
    found: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: found.append(site.get(f"/agent/status/ann/s1/{task.task_id}?wait=60")))
    waiting.start()
    workers.start()
    waiting.join(60)
    assert (found[0].status_code, found[0].json()["status"]) == (200, "completed")
    assert found[0].json() == site.get(f"/agent/status/ann/s1/{task.task_id}").json()
    assert found[0].headers["X-Request-ID"]


def test_invoke_may_wait_for_the_answer(site: Site, workers: Workers) -> None:
    workers.start()
    body = {"user_id": "ann", "query": "multiply 6 by 7"}
    answer = httpx.post(f"{site.url}/agent/invoke?wait=60", json=body, headers=site.headers, timeout=90)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    body = {"user_id": "ann", "query": 'call wait with {"seconds": 5}', "session_id": "s2", "task_id": "t"}
    answer = httpx.post(f"{site.url}/agent/invoke?wait=1", json=body, headers=site.headers, timeout=90)
    assert (answer.status_code, answer.json()) == (202, {"user_id": "ann", "session_id": "s2", "task_id": "t"})


def test_a_task_that_is_deleted_meanwhile_is_not_found(site: Site, invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    delete = threading.Timer(
        0.5, lambda: httpx.delete(f"{site.url}/agent/task/ann/s1/{task.task_id}", headers=site.headers)
    )
    delete.start()
    answer = site.get(f"/agent/status/ann/s1/{task.task_id}?wait=20")
    assert (answer.status_code, answer.json()["status"]) == (404, "not_found")
    delete.join()


def test_closed_streams_leave_nothing_open(site: Site, invoke: Any, tmp_path: Path) -> None:
    task = invoke("multiply 6 by 7")
    pid = children((tmp_path / "web.log").read_text())
    before = open_files(pid)
    for _ in range(30):
        with site.open(path_of(task)) as response:
            next(response.iter_lines())
    until(lambda: open_files(pid) <= before + 15, 30)  # connections of the hub to its servers stay


def children(log: str) -> int:
    return int(log.partition("Booting worker with pid: ")[2].split()[0])


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_events_that_are_told_are_stored(site: Site, workers: Workers, invoke: Any) -> None:
    workers.start()
    task = invoke("multiply 6 by 7")
    with site.open(path_of(task)) as response:
        told = [data for name, _, data in read(response.iter_lines()) if name not in ("chunk", "end")]
    stored = Event.objects.filter(task=task).order_by("seq")
    assert [(one["kind"], one["data"]) for one in told] == [(one.kind, one.data) for one in stored]


def test_an_answer_comes_in_pieces_and_then_whole(
    site: Site, workers: Workers, invoke: Any, model_server: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(model_server, "pause", 0.1)
    task = invoke("multiply 6 by 7")
    with site.open(path_of(task)) as response:
        lines = read(response.iter_lines())
        assert next(lines)[0] == "status"
        until(lambda: publisher.is_watched(task.session_id))  # before the worker begins
        workers.start()
        told = list(lines)
    whole = {data["data"]["id"]: data["data"]["content"] for name, _, data in told if name == "message"}
    pieces: dict[str, str] = {}
    for name, _, data in told:
        if name == "chunk":
            assert data["position"] == len(pieces.get(data["message_id"], ""))
            pieces[data["message_id"]] = pieces.get(data["message_id"], "") + data["text"]
    assert len(pieces) == 2
    assert pieces == {id_: whole[id_] for id_ in pieces}
    last = [name for name, _, _ in told].index("chunk")
    assert [name for name, _, _ in told[last:]].count("chunk") > 4
