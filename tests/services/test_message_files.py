"""The broker without a server: whatever lies in its folder, the workers go on."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from celery import Celery
from kombu import Connection
from kombu.transport import filesystem

from agents import broker, message_files
from agents.message_files import Channel
from agents.observability import metrics
from agentsite.api import readiness
from tests.support.accounts import client_of, grant
from tests.support.helpers import again, answer_of
from tests.support.processes import until

QUEUE = "celery"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("queue", "processed"):
        (tmp_path / "broker" / name).mkdir(parents=True)
    return tmp_path / "broker"


def options(folder: Path) -> dict[str, Any]:
    return {
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
        "store_processed": True,
        "processed_folder": str(folder / "processed"),
        "unreadable_folder": str(folder / "unreadable"),
    }


@pytest.fixture
def channel(folder: Path) -> Iterator[Channel]:
    with Connection(
        "filesystem://", transport="agents.message_files:Transport", transport_options=options(folder)
    ) as c:
        yield c.channel()


@pytest.fixture
def app(folder: Path) -> Celery:
    made = Celery("elsewhere", broker="filesystem://", set_as_current=False)
    made.conf.broker_transport = "agents.message_files:Transport"
    made.conf.broker_transport_options = options(folder)
    return made


def whole(app: Celery, folder: Path) -> str:
    """A message as Celery writes it; the queue is empty again."""
    app.send_task("agents.jobs.run", args=["x"])
    (path,) = (folder / "queue").iterdir()
    text = path.read_text()
    path.unlink()
    return text


def put(folder: Path, text: bytes | str, name: str = "1_a", age: float = 60) -> Path:
    path = folder / "queue" / f"{name}.{QUEUE}.msg"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (time.time() - age, time.time() - age))
    return path


GARBAGE = {
    "nothing": b"",
    "half": b'{"body": "W1t',
    "no text": b"\xff\xfe\x00",
    "a number": b"5",
    "a list": b"[]",
    "an empty object": b"{}",
    "a body that is none": b'{"body": 5, "properties": {"delivery_tag": "1", "body_encoding": "base64"}}',
    "deep": b"[" * 100_000,
    "large": b" " * (message_files.LONGEST + 1),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_what_cant_be_read_is_set_aside_and_what_follows_is_read(
    what: str, app: Celery, channel: Channel, folder: Path, caplog: Any
) -> None:
    metrics._process.take()  # of other tests
    text = whole(app, folder)
    path = put(folder, GARBAGE[what])
    put(folder, text, "2_b")
    assert channel._get(QUEUE) == json.loads(text)
    assert (folder / "unreadable" / path.name).read_bytes() == GARBAGE[what]
    assert path.name in caplog.text
    assert metrics._process.take() == {("agentsite_unreadable_messages_total", "[]"): 1}
    with pytest.raises(Empty):
        channel._get(QUEUE)


def test_a_pipe_a_folder_and_a_link_to_nowhere_are_no_messages(channel: Channel, folder: Path) -> None:
    os.mkfifo(folder / "queue" / f"1.{QUEUE}.msg")
    (folder / "queue" / f"2.{QUEUE}.msg").mkdir()
    (folder / "queue" / f"3.{QUEUE}.msg").symlink_to("nowhere")
    with pytest.raises(Empty):
        channel._get(QUEUE)
    assert message_files.count(str(folder / "unreadable")) == 3


def test_one_that_is_being_written_is_read_when_it_is_whole(app: Celery, channel: Channel, folder: Path) -> None:
    text = whole(app, folder)
    put(folder, text[:50], age=0)
    with pytest.raises(Empty):
        channel._get(QUEUE)
    put(folder, text, age=0)
    assert channel._get(QUEUE) == json.loads(text)
    assert message_files.count(str(folder / "unreadable")) == 0


def test_control_kombus_own_ends_over_it(app: Celery, folder: Path) -> None:
    put(folder, whole(app, folder)[:50], age=0)
    with Connection("filesystem://", transport_options=options(folder)) as connection:
        one: filesystem.Channel = connection.channel()
        with pytest.raises(ValueError, match="Unterminated"):
            one._get(QUEUE)


def test_a_message_is_there_at_once_or_not_at_all(app: Celery, folder: Path, monkeypatch: Any) -> None:
    seen: list[list[str]] = []
    replace = os.replace

    def look(source: Any, target: Any) -> None:
        seen.append([p.name for p in (folder / "queue").iterdir() if p.name.endswith(".msg")])
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    app.send_task("agents.jobs.run", args=["x"])
    assert seen[-1] == []
    assert [p.name.endswith(f".{QUEUE}.msg") for p in (folder / "queue").iterdir()] == [True]


def test_folders_that_are_removed_are_made_again(app: Celery, channel: Channel, folder: Path) -> None:
    for name in ("queue", "processed"):
        (folder / name).rmdir()
    with pytest.raises(Empty):
        channel._get(QUEUE)
    app.send_task("agents.jobs.run", args=["x"])
    with pytest.raises(Empty):
        channel._get(QUEUE)  # makes the folder of those that were read
    assert channel._get(QUEUE)["headers"]["task"] == "agents.jobs.run"


@pytest.mark.parametrize("garbage", [b"", b"{", b"5", b"[1]", b"\xff"])
def test_a_table_of_queues_that_cant_be_read_is_written_anew(garbage: bytes, app: Celery, folder: Path) -> None:
    (folder / "control").mkdir()
    (folder / "control" / f"{QUEUE}.exchange").write_bytes(garbage)
    app.send_task("agents.jobs.run", args=["x"])
    assert len(list((folder / "queue").iterdir())) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_worker_goes_on_and_what_was_set_aside_is_told(
    workers: Any, invoke: Any, folder: Path, settings: Any, monkeypatch: Any, ann: Any
) -> None:
    monkeypatch.setattr(broker, "publish", lambda task_pk: False)  # the worker's sweeper does
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = options(folder)
    worker = workers.start(REDIS_URL="", AGENTSITE_DATA=str(folder.parent))
    put(folder, b"{", "1_a")
    put(folder, b'{"body": "W1t', "2_b", age=0)
    assert "42" in answer_of(becomes_completed(invoke("multiply 6 by 7")))
    assert worker.poll() is None
    until(lambda: readiness.workers() == {"workers_alive": 1, "workers_listening": 1}, 30)
    seen = client_of(grant(ann, "agents.view_system")).get("/health/ready").json()
    assert (seen["unreadable_messages"], seen["workers_listening"]) == (1, 1)


def becomes_completed(task: Any) -> Any:
    until(lambda: again(task).status == "completed", 60)
    return task
