"""What a watcher gets: every event once and in order, from any point on, and the end."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from agents.models import Session, Task
from agents.services import cancel, delete_session, delete_task, find_session
from agents.state import events, tasks
from agents.state.events import NewEvent
from agents.watching import publisher, streams
from agents.watching.hub import hub
from agents.watching.publisher import TextChunk
from agents.watching.streams import InvalidCursor, SessionView, TaskView
from tests.support.processes import until
from tests.watching.conftest import Reading

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def finished(invoke: Any, work: Any) -> Task:
    task = invoke("multiply 6 by 7")
    work()
    task.refresh_from_db()
    return task


def closing(act: Callable[[], Any]) -> Callable[[], None]:
    """In a thread of its own, whose connection nothing else closes."""

    def run() -> None:
        time.sleep(0.2)
        act()
        connection.close()

    return run


def test_a_finished_task_is_told_whole_and_the_stream_ends(finished: Task, reading: Reading) -> None:
    read = reading(TaskView.after(finished, ""))
    assert read.ids == [str(number) for number in range(1, finished.last_seq + 1)]
    assert (read.kinds[-1], read.data[-1]) == ("end", {"status": "completed"})


def test_from_any_point_on_nothing_is_missing_and_nothing_twice(finished: Task, reading: Reading) -> None:
    for seq in range(finished.last_seq + 1):
        read = reading(TaskView.after(finished, str(seq)))
        assert read.ids == [str(number) for number in range(seq + 1, finished.last_seq + 1)]
        assert read.kinds[-1] == "end"


def test_more_events_than_a_page_holds(finished: Task, reading: Reading, monkeypatch: Any) -> None:
    monkeypatch.setattr(streams, "PAGE", 2)
    assert len(reading(TaskView.after(finished, "")).ids) == finished.last_seq


@pytest.mark.parametrize("cursor", ["x", "-1", "1.2", "٣", "9" * 10, "1e3", " 1"])
def test_a_cursor_that_is_none_is_refused(finished: Task, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        TaskView.after(finished, cursor)


@pytest.mark.parametrize("cursor", ["x", "-", "1", "1.", ".1", "1.1-", "1.1.1"])
def test_a_sessions_cursor_that_is_none_is_refused(finished: Task, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        SessionView.after(finished.session_id, cursor)


def test_what_happens_later_comes_by_itself(invoke: Any, reading: Reading) -> None:
    task = invoke("multiply 6 by 7")
    read = reading(TaskView.after(task, ""), then=closing(lambda: cancel(task)))
    assert [one["data"]["status"] for one in read.data[:-1]] == ["pending", "cancelled"]
    assert read.data[-1] == {"status": "cancelled"}


def test_a_task_that_is_deleted_ends_its_stream(invoke: Any, reading: Reading) -> None:
    task = invoke("multiply 6 by 7")
    delete = closing(lambda: delete_task("ann", "s1", task.task_id))
    assert reading(TaskView.after(task, ""), then=delete).data[-1] == {"status": "not_found"}


def test_who_may_no_longer_see_it_gets_no_more(invoke: Any, reading: Reading, settings: Any) -> None:
    settings.STREAM_HEARTBEAT_SECONDS = 0.1
    allowed = iter([True, True, False])
    read = reading(TaskView.after(invoke("multiply 6 by 7"), ""), allowed=lambda: next(allowed))
    assert read.kinds == ["status"]
    with pytest.raises(StopIteration):
        next(allowed)


def test_no_watcher_is_left_behind(finished: Task, reading: Reading) -> None:
    before = hub().count()
    reading(TaskView.after(finished, ""))
    assert hub().count() == before


# Sessions


def test_a_session_tells_of_its_tasks_that_have_not_ended_and_of_new_ones(
    invoke: Any, work: Any, reading: Reading
) -> None:
    invoke("multiply 6 by 7", task="old")
    work()
    invoke("multiply 1 by 2", task="open")
    view = SessionView.after(find_session("ann", "s1").pk, "")
    read = reading(view, then=closing(lambda: begin("new")))
    assert [(one["task_id"], one["seq"]) for one in read.data] == [("open", 1), ("new", 1)]


def begin(task_id: str) -> Task:
    session = Session.objects.get(session_id="s1")
    return tasks.begin(session, Task(session=session, task_id=task_id, query="x"), is_busy=True, is_first=False)


def test_a_session_can_be_continued_after_each_of_its_events(invoke: Any, work: Any, reading: Reading) -> None:
    for number in range(3):
        invoke("multiply 6 by 7", task=f"t{number}")
    work()
    delete_task("ann", "s1", "t1")  # leaves a gap between the positions
    session = find_session("ann", "s1").pk
    whole = reading(SessionView.after(session, "1.0"))
    names = [(one["task_id"], one["seq"]) for one in whole.data]
    assert len(names) == len(set(names)) == sum(Task.objects.values_list("last_seq", flat=True))
    for at, cursor in enumerate(whole.ids):
        rest = reading(SessionView.after(session, cursor), quiet=0.25)
        assert [(one["task_id"], one["seq"]) for one in rest.data] == names[at + 1 :]


def test_many_finished_tasks_are_passed_over(invoke: Any, reading: Reading, monkeypatch: Any) -> None:
    monkeypatch.setattr(streams, "LIMIT", 2)
    for number in range(5):
        cancel(invoke("x", task=f"t{number}"))
    read = reading(SessionView.after(find_session("ann", "s1").pk, "1.2-2.2-3.2-4.2"))
    assert {one["task_id"] for one in read.data} == {"t4"}


# Pieces of messages that are being unfinished_chunks


def chunk(task: Task, position: int, text: str, message: str = "m1") -> TextChunk:
    return TextChunk(task.pk, message, position, text)


def unfinished_chunks(task: Task, *chunks: TextChunk) -> Callable[[], None]:
    def write() -> None:
        for one in chunks:
            publisher.publish_chunk(task.session_id, one)

    return closing(write)


def test_pieces_come_as_they_are_written(invoke: Any, reading: Reading) -> None:
    task = invoke("multiply 6 by 7")
    read = reading(TaskView.after(task, ""), then=unfinished_chunks(task, chunk(task, 0, "Hel"), chunk(task, 3, "lo")))
    assert "".join(one["text"] for one in read.data if "text" in one) == "Hello"
    assert read.data[1] == {"task_id": task.task_id, "message_id": "m1", "position": 0, "text": "Hel", "kind": "text"}


def test_who_comes_late_gets_what_there_is_so_far(invoke: Any, reading: Reading) -> None:
    task = invoke("multiply 6 by 7")
    unfinished_chunks(task, chunk(task, 0, "Hel"), chunk(task, 3, "lo"))()
    time.sleep(0.3)
    read = reading(TaskView.after(task, ""))
    assert "".join(one["text"] for one in read.data if "text" in one) == "Hello"


def test_pieces_that_come_twice_or_behind_a_gap_are_left_out(invoke: Any, reading: Reading) -> None:
    task = invoke("multiply 6 by 7")
    chunks = [chunk(task, 0, "Hel"), chunk(task, 0, "Hello"), chunk(task, 9, "gap"), chunk(task, 1, "el")]
    read = reading(TaskView.after(task, ""), then=unfinished_chunks(task, *chunks))
    assert [one["text"] for one in read.data if "text" in one] == ["Hel", "lo"]


def test_the_finished_message_takes_the_place_of_its_pieces(invoke: Any, reading: Reading) -> None:
    task = invoke("multiply 6 by 7")
    attempt = tasks.claim(task.pk, "w")
    assert attempt is not None
    tasks.append_event(attempt, NewEvent("message", {"type": "ai", "id": "m1", "content": "Hello"}))
    unfinished_chunks(task, chunk(task, 0, "Hello"))()
    read = reading(TaskView.after(task, ""), then=unfinished_chunks(task, chunk(task, 5, "!")))
    assert "chunk" not in read.kinds


def test_pieces_of_another_task_of_the_session_are_not_sent(invoke: Any, reading: Reading) -> None:
    task, other = invoke("multiply 6 by 7", task="a"), invoke("multiply 6 by 7", task="b")
    read = reading(TaskView.after(task, ""), then=unfinished_chunks(other, chunk(other, 0, "secret")))
    assert "chunk" not in read.kinds
    assert "secret" in str(reading(SessionView.after(task.session_id, ""), then=lambda: None).data)


def test_a_session_counts_as_watched_while_somebody_reads(invoke: Any, reading: Reading) -> None:
    task = invoke("multiply 6 by 7")
    found: list[bool] = []
    reading(
        TaskView.after(task, ""),
        then=closing(lambda: found.append(until(lambda: publisher.is_watched(task.session_id)))),
    )
    assert found == [True]
    assert not publisher.is_watched(uuid4())


def test_events_of_a_transaction_that_is_undone_are_not_sent(invoke: Any, reading: Reading) -> None:
    task = invoke("multiply 6 by 7")

    def undone() -> None:
        with transaction.atomic():
            events.append(task, [NewEvent("custom", {"value": 1})])
            transaction.set_rollback(True)

    assert reading(TaskView.after(task, ""), then=closing(undone)).kinds == ["status"]


def test_a_session_that_is_deleted_before_the_first_look_at_it_ends(reading: Reading, invoke: Any) -> None:
    view = SessionView.after(invoke("multiply 6 by 7").session_id, "")

    def delete() -> None:
        until(lambda: view.names)  # it has been read
        delete_session("ann", "s1")
        hub()._seen.clear()  # as if nobody had looked

    assert reading(view, then=closing(delete), quiet=1.5).data[-1] == {"status": "not_found"}
