"""The file PAUSE in the data folder: how it is read, and the pauses that are made of it."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents import pause_file
from agents.models import Pause, Task
from agents.pause_file import Wanted
from agents.worker import jobs
from core.errors import Conflict
from reviews import pauses as switch
from reviews.models import AuditEntry
from tests.support.concurrency import in_threads
from tests.support.helpers import again, answer_of

pytestmark = pytest.mark.django_db(transaction=True)

WHO = switch.Actor("rita")


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path, monkeypatch: Any) -> Path:
    """A data folder of its own, which nobody has looked into."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(pause_file, "_watch", pause_file._Watch())
    return tmp_path


@pytest.fixture
def file(folder: Path) -> Callable[[str], None]:
    """Write the file, and look at it as a worker does."""

    def write(text: str) -> None:
        (folder / "PAUSE").write_text(text)
        pause_file.heed()

    return write


def in_force() -> list[tuple[str, str]]:
    return sorted(Pause.objects.filter(lifted_at=None).values_list("scope", "value"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", [("everything", "", "")]),
        ("  the disk is full \n\nask rita\n", [("everything", "", "the disk is full\nask rita")]),
        ("tool=send_email", [("tool", "send_email", "")]),
        ("\ufeffTool = send_email \r\nUSER=ann\r\nspam\r\n", [("tool", "send_email", "spam"), ("user", "ann", "spam")]),
        ("agent=default\nagent=default", [("agent", "default", "")]),
        ("tool=a b=c", [("tool", "a b=c", "")]),
        # What can't be understood pauses everything, whatever stands beside it.
        ("tools=send_email", [("everything", "", "tools=send_email")]),
        ("tool=send_email\nuser=", [("everything", "", "user=")]),
        ("user=not an id", [("everything", "", "user=not an id")]),
        (f"tool={'x' * 201}\nspam", [("everything", "", f"spam\ntool={'x' * 201}")]),
        ("see https://example.com?a=1", [("everything", "", "see https://example.com?a=1")]),
        ("a\x00b", [("everything", "", "a\N{REPLACEMENT CHARACTER}b")]),
    ],
)
def test_what_the_file_says(text: str, wanted: list[tuple[str, str, str]], folder: Path) -> None:
    (folder / "PAUSE").write_bytes(text.encode())
    assert pause_file.wanted() == tuple(Wanted(*one) for one in wanted)


def test_bytes_that_are_no_text_pause_everything(folder: Path) -> None:
    (folder / "PAUSE").write_bytes(b"\xff\xfe\x00")
    assert [one.scope for one in pause_file.wanted()] == ["everything"]


def test_a_file_that_cant_be_read_or_is_too_long_pauses_everything(folder: Path) -> None:
    (folder / "PAUSE").mkdir()
    assert "can't be read" in pause_file.wanted()[0].reason
    (folder / "PAUSE").rmdir()
    (folder / "PAUSE").write_text("tool=a\n" * 20_000)
    assert [(one.scope, "more than" in one.reason) for one in pause_file.wanted()] == [("everything", True)]


def test_it_is_noticed_before_a_task_is_claimed_and_work_goes_on_without_it(
    invoke: Any, work: Any, folder: Path
) -> None:
    task = invoke("multiply 6 by 7")
    (folder / "PAUSE").touch()
    work()
    assert (again(task).status, in_force()) == ("pending", [("everything", "")])
    (folder / "PAUSE").unlink()
    pause_file.heed()
    work()
    assert "42" in answer_of(task)


def test_who_what_and_when_is_in_the_audit_log(file: Callable[[str], None], folder: Path) -> None:
    file("tool=send_email\nspam")
    (folder / "PAUSE").unlink()
    pause_file.heed()
    actor = f"system:{socket.gethostname()}"
    found = list(AuditEntry.objects.order_by("pk").values_list("verb", "kind", "actor", "actor_id", "tool"))
    assert found == [(verb, "pause", actor, None, "send_email") for verb in ("paused", "resumed")]
    row = Pause.objects.get()
    assert (row.by_name, row.lifted_by_name, row.reason) == (actor, actor, "spam")


def test_a_change_of_the_file_changes_only_what_is_different(file: Callable[[str], None]) -> None:
    file("tool=a\nuser=ann")
    first = Pause.objects.get(scope="tool")
    file("tool=a\nagent=gone")
    assert in_force() == [("agent", "gone"), ("tool", "a")]
    assert Pause.objects.get(scope="tool", lifted_at=None).pk == first.pk


def test_a_reason_that_comes_later_is_kept_and_in_the_audit_log(file: Callable[[str], None]) -> None:
    file("")
    file("the disk is full")
    assert Pause.objects.get().reason == "the disk is full"
    assert [entry.verb for entry in AuditEntry.objects.order_by("pk")] == ["paused", "paused"]


def test_many_workers_make_one_pause_and_one_entry(folder: Path) -> None:
    (folder / "PAUSE").touch()
    found = pause_file.Found(pause_file.wanted(), pause_file._folder_id(), "host")
    in_threads(4, lambda _: switch.mirror(found))
    assert (Pause.objects.count(), AuditEntry.objects.count()) == (1, 1)


def test_the_pause_of_a_file_and_that_of_a_person_are_two(file: Callable[[str], None], folder: Path) -> None:
    row, _ = switch.pause("everything", "", "an incident", WHO)
    file("")
    assert len(in_force()) == 2
    switch.resume(row.pk, WHO)
    assert in_force() == [("everything", "")]
    (folder / "PAUSE").unlink()
    pause_file.heed()
    assert in_force() == []


def test_another_data_folder_without_the_file_lifts_nothing(
    file: Callable[[str], None], settings: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    file("")
    (tmp_path / "other").mkdir()
    settings.DATA_DIR = tmp_path / "other"
    monkeypatch.setattr(pause_file, "_watch", pause_file._Watch())
    pause_file.heed()
    assert in_force() == [("everything", "")]


def test_a_file_that_a_worker_sees_is_lifted_by_deleting_it_only(file: Callable[[str], None]) -> None:
    file("")
    row = Pause.objects.get()
    with pytest.raises(Conflict, match="delete that file"):
        switch.resume(row.pk, WHO)
    assert in_force() == [("everything", "")]


def test_one_whose_host_is_gone_can_be_lifted_by_hand(file: Callable[[str], None]) -> None:
    file("")
    Pause.objects.update(seen_at="2020-01-01T00:00:00Z")
    switch.resume(Pause.objects.get().pk, WHO)
    assert in_force() == []


def test_it_comes_back_where_the_file_is_still_there(file: Callable[[str], None], monkeypatch: Any) -> None:
    file("")
    Pause.objects.update(seen_at="2020-01-01T00:00:00Z")
    switch.resume(Pause.objects.get().pk, WHO)
    pause_file._watch.due = 0.0  # ten seconds later
    pause_file.heed()
    assert in_force() == [("everything", "")]


def test_a_file_that_went_away_while_no_worker_lived_is_noticed_by_the_first(
    file: Callable[[str], None], folder: Path, monkeypatch: Any
) -> None:
    file("")
    (folder / "PAUSE").unlink()
    monkeypatch.setattr(pause_file, "_watch", pause_file._Watch())  # another process
    pause_file.heed()
    assert in_force() == []


def test_while_it_does_not_change_nobody_asks_the_database(django_assert_num_queries: Any) -> None:
    pause_file.heed()
    with django_assert_num_queries(0):
        pause_file.heed()


def test_the_folder_has_one_id_also_where_nobody_may_write(folder: Path, monkeypatch: Any) -> None:
    assert len(set(in_threads(4, lambda _: pause_file._folder_id()))) == 1
    (folder / ".folder-id").unlink()

    def refuse(*args: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    assert pause_file._folder_id() == socket.gethostname()


def test_a_worker_that_cant_tell_claims_nothing(invoke: Any, monkeypatch: Any) -> None:
    task = invoke("multiply 6 by 7")

    def fail(found: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(switch, "mirror", fail)
    with pytest.raises(RuntimeError):
        jobs.run(str(task.pk))
    assert Task.objects.get().status == "pending"
