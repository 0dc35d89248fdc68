"""`manage.py cleanup_sessions`: what is old and idle goes with everything, the rest stays."""

import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from agents import services
from agents.maintenance import retention
from agents.models import Attempt, Interrupt, Session, Status, Task, ToolCall
from agents.state import removal, sessions
from memory.models import Memory
from reviews.models import Decision
from tests.support.accounts import client_of
from tests.support.concurrency import in_threads
from tests.support.helpers import checkpoint_rows, resume

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_checkpoints")]

LONG_AGO = timezone.now() - timedelta(days=40)


def cleanup(*arguments: str, older_than: str = "30d") -> str:
    """What the command prints."""
    output = StringIO()
    call_command("cleanup_sessions", f"--older-than={older_than}", *arguments, stdout=output)
    return output.getvalue().strip()


def age(session: str = "s1", moment: Any = LONG_AGO) -> None:
    """Let the session's last change have been then."""
    Session.objects.filter(session_id=session).update(created_at=moment)
    Task.objects.filter(session__session_id=session).update(updated_at=moment)


def left() -> set[str]:
    return set(Session.objects.values_list("session_id", flat=True))


def old(session: str, *statuses: str, user: str = "ann") -> Session:
    """An old session whose tasks have these statuses."""
    row = Session.objects.create(user_id=user, session_id=session, created_at=LONG_AGO)
    for position, status in enumerate(statuses, 1):
        row.tasks.create(task_id=f"t{position}", position=position, query="x", status=status, updated_at=LONG_AGO)
    return row


def test_an_old_session_goes_with_everything(api: Any, invoke: Any, work: Any) -> None:
    task = invoke("book the Ritz for 2 nights then book the Savoy for 1 night")
    work()
    resume(api, task)
    work()
    assert checkpoint_rows() > 0
    Memory.objects.create(user_id="ann", text="x", text_key="x", scope="session", scope_ref="s1")
    Task.objects.update(status=Status.CANCELLED)
    age()
    assert cleanup() == "Deleted 1 session(s)."
    assert not any(m.objects.exists() for m in (Session, Task, Attempt, Interrupt, ToolCall, Decision, Memory))
    assert Task.objects.count() == checkpoint_rows() == 0


def test_one_that_was_changed_lately_stays(invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    Session.objects.update(created_at=LONG_AGO)
    assert cleanup() == "Deleted 0 session(s)."
    assert cleanup(older_than="1m") == "Deleted 0 session(s)."


def test_its_newest_task_counts() -> None:
    row = old("s1", "completed", "completed")
    row.tasks.filter(position=2).update(updated_at=timezone.now())
    assert cleanup() == "Deleted 0 session(s)."
    assert Task.objects.count() == 2


def test_one_without_tasks_counts_from_its_making() -> None:
    old("empty"), Session.objects.create(user_id="ann", session_id="new")
    cleanup()
    assert left() == {"new"}


@pytest.mark.parametrize("status", ["pending", "running", "queued"])
@pytest.mark.parametrize("flags", [(), ("--include-interrupted",)])
def test_one_with_work_to_do_stays(status: str, flags: tuple[str, ...]) -> None:
    old("s1", "completed", status)
    cleanup(*flags)
    assert left() == {"s1"}


def test_what_waits_for_a_person_goes_only_when_it_is_asked_for() -> None:
    old("s1", "interrupted")
    assert cleanup() == "Deleted 0 session(s)."
    assert cleanup("--include-interrupted") == "Deleted 1 session(s)."


def test_what_waits_behind_an_interrupted_task_keeps_both() -> None:
    old("s1", "interrupted", "queued")
    assert cleanup("--include-interrupted") == "Deleted 0 session(s)."


@pytest.mark.parametrize(
    ("status", "gone"),
    [
        ("completed", {"done"}),
        ("error", {"failed"}),
        ("cancelled", {"ended"}),
        ("interrupted", {"asking"}),
        ("idle", {"done", "failed", "ended", "empty"}),
    ],
)
def test_a_status_picks_by_the_newest_task(status: str, gone: set[str]) -> None:
    old("done", "error", "completed"), old("failed", "completed", "error"), old("ended", "cancelled"), old("empty")
    old("asking", "completed", "interrupted")
    before = left()
    cleanup("--status", status, "--include-interrupted")
    assert before - left() == gone


def test_one_users_only() -> None:
    old("s1"), old("s2", user="bob"), old("s3", user="José")
    cleanup("--user", "bob")
    cleanup("--user", "Jose\N{COMBINING ACUTE ACCENT}")  # stored in composed form
    assert left() == {"s1"}


def test_memories_of_other_sessions_and_users_stay() -> None:
    old("s1"), old("s2", user="bob")
    for user, ref in (("ann", "s1"), ("ann", "s2"), ("bob", "s1")):
        Memory.objects.create(user_id=user, text="x", text_key=user + ref, scope="session", scope_ref=ref)
    cleanup()
    assert set(Memory.objects.values_list("text_key", flat=True)) == {"anns2", "bobs1"}


@pytest.mark.parametrize("size", ["1", "2", "5", "500"])
def test_batches_miss_none_and_skip_what_stays(size: str) -> None:
    for number in range(7):  # the same moment: the id decides the order
        old(f"s{number}", "running" if number == 3 else "completed")
    assert cleanup("--batch-size", size) == "Deleted 6 session(s)."
    assert left() == {"s3"}


def test_more_tasks_than_a_statement_can_name(monkeypatch: Any) -> None:
    monkeypatch.setattr(removal, "REMOVED_AT_ONCE", 2)
    old("s1", *["completed"] * 5)
    cleanup()
    assert not Task.objects.exists()


def test_a_dry_run_only_tells() -> None:
    old("s1"), old("s2", "interrupted")
    assert cleanup("--dry-run") == "Would delete 1 session(s)."
    assert left() == {"s1", "s2"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--older-than=5"], "--older-than"),
        (["--older-than=0d"], "--older-than"),
        (["--older-than=999999w"], "--older-than"),
        (["--status", "running"], "--status"),
        (["--status", "interrupted"], "--include-interrupted"),
        (["--user", "two words"], "--user"),
        (["--batch-size", "0"], "--batch-size"),
        (["--batch-size", "5001"], "--batch-size"),
    ],
)
def test_a_bad_argument_is_one_line_and_changes_nothing(arguments: list[str], told: str) -> None:
    old("s1")
    with pytest.raises(CommandError, match=told) as raised:
        cleanup(*arguments)
    assert "\n" not in str(raised.value)
    assert left() == {"s1"}


def test_a_task_that_comes_between_looking_and_locking_saves_its_session(monkeypatch: Any, api: Any) -> None:
    old("s1", "completed")
    delete = services.delete_sessions

    def submit_first(pks: Any, still: Any) -> int:
        api.post("/agent/invoke", {"user_id": "ann", "session_id": "s1", "task_id": "new", "query": "x"})
        return delete(pks, still)

    monkeypatch.setattr(retention.services, "delete_sessions", submit_first)
    assert cleanup() == "Deleted 0 session(s)."
    assert Task.objects.count() == 2


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_a_session_that_somebody_holds_is_passed_over() -> None:
    old("held"), old("free")
    locked, done = threading.Event(), threading.Event()

    def one(number: int) -> Any:
        if number:
            locked.wait(10)
            told = cleanup()
            done.set()
            return told
        with transaction.atomic():
            sessions.lock_named("ann", "held")
            locked.set()
            return done.wait(10)

    assert in_threads(2, one) == [True, "Deleted 1 session(s)."]
    assert left() == {"held"}


def test_cleaning_up_while_it_is_submitted_to_loses_no_accepted_task(service: Any) -> None:
    for number in range(8):
        old(f"s{number}", "completed")

    def one(number: int) -> int:
        if number % 2:
            return sum(retention.delete_sessions(retention.Old(timezone.now()), 3))
        ids = {"user_id": "ann", "session_id": f"s{number}", "task_id": "new"}
        return int(client_of(service).post("/agent/invoke", {**ids, "query": "x"}).status_code)

    assert in_threads(8, one)[::2] == [202] * 4
    assert Task.objects.filter(task_id="new").count() == 4


def test_the_bar_is_for_terminals(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    for number in range(3):
        old(f"s{number}")
    cleanup("--batch-size=1", "--no-progress")
    assert "sessions" not in capsys.readouterr().err
    old("s9")
    cleanup()
    assert "1/1" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 30])
def test_the_number_of_queries_does_not_grow_with_the_sessions(django_assert_max_num_queries: Any, count: int) -> None:
    for number in range(count):
        old(f"s{number}", "completed", "completed")
    with django_assert_max_num_queries(40):
        assert list(retention.delete_sessions(retention.Old(timezone.now()))) == [count]
