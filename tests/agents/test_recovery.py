"""What goes wrong around a run: one bad row, a database that is away, a tool that hangs, a lock that is held."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import DataError, InterfaceError, InternalError, OperationalError, connection, connections
from psycopg_pool import ConnectionPool
from typing_extensions import override

from agents.checkpoints import fenced_saver, tables
from agents.maintenance import sweeper
from agents.models import Attempt, Chore, Interrupt, Task, ToolCall
from agents.runtime.runner import Finished
from agents.state import statements, tasks, tool_calls
from agents.worker import heartbeat, jobs
from agents.worker.heartbeat import Heart, heart
from reviews.decisions.services import Choice, decide, expire
from tests.support import odd_tools
from tests.support.concurrency import in_threads, lapse_all
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import Crash, calls
from tests.support.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("odd_tools")]


@pytest.fixture
def only_postgres() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: locks of rows, pools of connections")


def other_session() -> Any:
    return psycopg.connect(**fenced_saver._libpq(), autocommit=False)


# The sweeper


@pytest.mark.parametrize("error", [ValueError, InternalError])  # InternalError: an index or a row is corrupt
def test_one_bad_row_does_not_keep_the_others_waiting(
    invoke: Any, work: Any, published: Any, monkeypatch: Any, error: type[Exception]
) -> None:
    found = [invoke("multiply 6 by 7", session=f"s{n}") for n in range(3)]
    for task in found:
        tasks.claim(task.pk, "dead")
    newest = tables.newest

    def broken_for_the_first(pk: Any) -> str:
        if pk == found[0].pk:
            raise error("unreadable")
        return newest(pk)

    monkeypatch.setattr(tables, "newest", broken_for_the_first)
    lapse_all()
    assert [again(task).status for task in found] == ["running", "pending", "pending"]


def test_a_checkpoint_that_can_not_be_read_is_an_error_and_no_endless_loop(
    invoke: Any, work: Any, published: Any, reviewer: Any
) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    with connection.cursor() as cursor:
        column = "'\"no\"'::jsonb" if connection.vendor == "postgresql" else "x'c1c1'"
        cursor.execute(f"UPDATE checkpoints SET checkpoint = {column} WHERE thread_id = %s", [str(task.pk)])
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert again(task).status == "error"
    assert not ToolCall.objects.exists()


def test_overdue_questions_that_wait_do_not_keep_others_from_expiring(invoke: Any, work: Any) -> None:
    task = invoke('call charge with {"amount": 3}')
    work()
    Interrupt.objects.update(expires_at="2021-01-01T00:00:00Z")
    waiting = {"kind": "in_doubt", "on_expiry": "wait", "graph_id": "g", "tool_call_id": "c", "args_text": "{}"}
    old = {"expires_at": "2020-01-01T00:00:00Z", "verdict_text": open_review(task).verdict_text, "args_digest": "d"}
    Interrupt.objects.bulk_create(
        Interrupt(task=task, message_id=f"m{n}", **waiting, **old) for n in range(sweeper.BATCH + 1)
    )
    assert expire() == 1
    assert Interrupt.objects.get(kind="tool_call").status == "expired"


def test_a_tool_that_hangs_does_not_hold_the_session_for_ever(
    invoke: Any, published: Any, settings: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Heart, "start", lambda self: None)
    task, following = invoke('call hang with {"name": "x"}'), invoke("multiply 6 by 7")
    odd_tools.RELEASED.clear()
    run = threading.Thread(target=jobs.run, args=(str(published.pop(0)),))
    run.start()
    until(ToolCall.objects.exists)
    settings.TASK_WALL_SECONDS = settings.TASK_WALL_GRACE_SECONDS = 0.2
    time.sleep(0.5)
    assert sweeper.end_overlong() == 1
    assert "ran longer than" in again(task).message
    assert again(following).status == "pending"
    odd_tools.RELEASED.set()
    run.join()
    assert (again(task).status, ToolCall.objects.get().status) == ("error", "succeeded")


def test_a_run_within_its_time_is_left_alone(invoke: Any, settings: Any) -> None:
    tasks.claim(invoke("multiply 6 by 7").pk, "w")
    settings.TASK_WALL_GRACE_SECONDS = 0
    assert sweeper.end_overlong() == 0


# The database goes away


def test_a_checkpoint_that_can_not_be_written_now_does_not_end_the_task(
    invoke: Any, work: Any, published: Any, monkeypatch: Any
) -> None:
    task = invoke("multiply 6 by 7")
    saver = fenced_saver.FencedPostgresSaver if connection.vendor == "postgresql" else fenced_saver.FencedSqliteSaver
    error = psycopg.OperationalError if connection.vendor == "postgresql" else sqlite3.OperationalError

    def away(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with connection.wrap_database_errors:
            raise error("gone")

    with monkeypatch.context() as patch:
        patch.setattr(saver, "put", away)
        with pytest.raises(OperationalError):
            work()
    assert again(task).status == "running"
    heart().beat()  # gives the lease up: nobody has to wait for it
    assert sweeper.lapse_leases() == 1
    assert again(task).lapses == 1, "or a task that no database takes would be tried for ever"
    work()
    assert "42" in answer_of(task)


def test_the_savers_raise_djangos_errors(invoke: Any) -> None:
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "w")
    assert attempt is not None

    def use(saver: Any) -> None:
        if connection.vendor == "postgresql":
            with saver._cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        else:
            with saver.cursor() as cursor:
                cursor.execute("SELECT 1 FROM a_table_that_is_not_there")

    with fenced_saver.saver_of(attempt) as saver, pytest.raises((OperationalError, InterfaceError)):
        use(saver)


def test_a_result_is_written_also_when_the_database_was_away_for_a_moment(
    invoke: Any, work: Any, reviewer: Any, monkeypatch: Any
) -> None:
    task = invoke('call charge with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    close, failures = tool_calls.close, iter([OperationalError("gone"), InterfaceError("gone")])

    def flaky(*args: Any) -> None:
        if (error := next(failures, None)) is not None:
            raise error
        close(*args)

    monkeypatch.setattr(tool_calls, "close", flaky)
    work()
    assert "charged 3" in answer_of(task)
    assert calls() == ["charge 3"]


@pytest.mark.usefixtures("only_postgres")
@pytest.mark.parametrize("clients", [8, 1])
def test_after_a_restart_of_the_database_no_dead_connection_is_handed_out(clients: int) -> None:
    def count(number: int) -> int:
        time.sleep(0.2)
        return Task.objects.count()

    in_threads(8, count)
    with other_session() as session:
        sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        session.execute(f"{sql} AND pid <> pg_backend_pid()")
    connections.close_all()
    assert in_threads(clients, count) == [0] * clients


@pytest.mark.usefixtures("only_postgres")
def test_a_pool_goes_on_connecting_for_those_who_wait() -> None:
    """psycopg's own gives up after a time and leaves them waiting; before that each pause is twice the last."""
    options = {**connection.settings_dict["OPTIONS"]["pool"], "reconnect_timeout": 0.5, "min_size": 0, "timeout": 20}
    assert options["reconnect_failed"] is fenced_saver._pool()._reconnect_failed
    back = time.monotonic() + 4

    class Away(psycopg.Connection[Any]):
        @classmethod
        @override
        def connect(cls, *args: Any, **more: Any) -> Any:
            if time.monotonic() < back:
                raise psycopg.OperationalError("away")
            return super().connect(*args, **more)

    options["connection_class"] = Away
    with ConnectionPool(kwargs=fenced_saver._libpq(), **options) as pool, pool.connection():
        assert 0 < time.monotonic() - back < 2


@pytest.mark.usefixtures("only_postgres")
def test_whoever_stands_still_in_a_transaction_loses_its_locks() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("15s",)


@pytest.mark.usefixtures("only_postgres")
@pytest.mark.parametrize("point", ["before-checkpoint", "after-checkpoint"])
def test_a_worker_that_freezes_around_a_checkpoint_holds_no_lock(
    invoke: Any, work: Any, monkeypatch: Any, point: str
) -> None:
    """Else others would wait for its connection to end before they could take its task over."""
    task = invoke("multiply 6 by 7")
    states = "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND query LIKE 'WITH fence%'"
    seen: list[Any] = []

    def frozen(name: Any) -> None:
        if name == point:
            with other_session() as other:
                other.execute("SET LOCAL lock_timeout = '5s'")  # another thread of the graph may write just now
                attempt = other.execute("SELECT 1 FROM agents_attempt FOR UPDATE").fetchall()
                seen.append((other.execute(states).fetchall(), len(attempt)))
                other.rollback()

    monkeypatch.setattr(fenced_saver.failpoints, "here", frozen)
    work()
    assert "42" in answer_of(task)
    assert len(seen) >= 5  # as many as there are checkpoints
    assert set(map(str, seen)) == {"([], 1)"}


@contextmanager
def impatient() -> Iterator[None]:
    """The server gives who stands still inside a transaction 0.5 s."""

    def give(text: str) -> None:
        connection.settings_dict["OPTIONS"]["options"] = text
        connections.close_all()
        connection.close_pool()  # type: ignore[attr-defined]
        fenced_saver.close_pools()

    before = connection.settings_dict["OPTIONS"]["options"]
    give("-c idle_in_transaction_session_timeout=500")
    try:
        yield
    finally:
        give(before)


@pytest.mark.usefixtures("only_postgres")
def test_who_stood_still_in_a_transaction_has_not_failed_the_task(invoke: Any, work: Any, monkeypatch: Any) -> None:
    """PostgreSQL says so with an error of its own kind, which is none of the agent's."""
    task = invoke("multiply 6 by 7")
    left = [1]

    enter = statements.enter

    def slow(row: ToolCall, task: Task) -> statements.Entered:
        entered = enter(row, task)
        if left:
            left.pop()
            time.sleep(1.2)
        return entered

    with impatient(), monkeypatch.context() as patch:
        patch.setattr(statements, "enter", slow)
        with pytest.raises((InternalError, OperationalError)):  # as soon as the end of the connection shows, the latter
            work()
    assert again(task).status == "running"
    lapse_all()
    work()
    assert "42" in answer_of(task)


@pytest.mark.usefixtures("only_postgres")
def test_a_checkpoint_that_can_not_be_stored_says_why(invoke: Any) -> None:
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "one")
    assert attempt is not None
    with (
        fenced_saver.saver_of(attempt) as saver,
        pytest.raises(DataError),
        saver._cursor(pipeline=True) as cursor,  # type: ignore[attr-defined]
    ):
        cursor.executemany("SELECT %s::integer", [("1",), ("not a number",), ("2",)])


@pytest.mark.usefixtures("only_postgres")
def test_a_lock_that_a_chore_waits_for_costs_nobody_the_lease(invoke: Any, settings: Any) -> None:
    settings.TASK_HEARTBEAT_SECONDS, settings.TASK_SWEEP_SECONDS, settings.TASK_LEASE_SECONDS = 0.2, 0.2, 2
    alive = tasks.claim(invoke("multiply 6 by 7").pk, "alive")
    assert alive is not None
    Chore.objects.update_or_create(name=sweeper.SWEEP, defaults={"due_at": "2020-01-01T00:00:00Z"})
    one = Heart()
    with other_session() as session, one.keeping(alive):
        session.execute("SELECT 1 FROM agents_chore WHERE name = 'sweep' FOR UPDATE")
        time.sleep(4)
        left = Attempt.objects.filter(pk=alive.pk, lease_until__gt=heartbeat.Now()).exists()
        session.rollback()
        one.stop()
    assert left


@pytest.mark.usefixtures("only_postgres")
@pytest.mark.parametrize("table", ["attempt", "task", "session"])
def test_who_stands_still_with_a_lock_keeps_the_sweeper_from_nobody_else(invoke: Any, table: str) -> None:
    found = [invoke("multiply 6 by 7", session=name) for name in ("locked", "other")]
    for task in found:
        tasks.claim(task.pk, "dead")
    Attempt.objects.update(lease_until="2020-01-01T00:00:00Z")
    key = {"attempt": Attempt.objects.get(task=found[0]).pk, "task": found[0].pk, "session": found[0].session_id}
    with other_session() as session:
        session.execute(f"SELECT 1 FROM agents_{table} WHERE id = %s FOR NO KEY UPDATE", (key[table],))
        assert sweeper.lapse_leases() == 1
        assert [again(task).status for task in found] == ["running", "pending"]
        session.rollback()
    assert sweeper.lapse_leases() == 1


@pytest.mark.usefixtures("only_postgres")
def test_a_tool_holds_no_connection_while_it_runs(invoke: Any, published: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(Heart, "start", lambda self: None)
    odd_tools.RELEASED.clear()
    invoke('call hang with {"name": "a"} and call hang with {"name": "b"}')
    connections.close_all()
    before = in_use()
    run = threading.Thread(target=jobs.run, args=(str(published.pop()),))
    run.start()
    until(lambda: ToolCall.objects.filter(status="started").count() == 2)
    connections.close_all()
    try:
        until(lambda: in_use() <= before, 10)
    finally:
        odd_tools.RELEASED.set()
        run.join()


def in_use() -> int:
    """How many connections of the pool some thread has, also one of an earlier test that has ended without a word."""
    pool = connection.pool.get_stats()  # type: ignore[attr-defined]
    return int(pool["pool_size"] - pool["pool_available"])


# Outcomes that can't be stored, and doubts that are none any more


def test_an_outcome_that_no_database_takes_is_said_to_be_that(invoke: Any) -> None:
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "w")
    assert attempt is not None
    jobs.record(attempt, Finished({"messages": [{"type": "ai", "content": "\x00", "id": float("nan")}]}))
    assert "can't be stored" in again(attempt.task).message


def test_a_call_that_ends_before_its_doubt_is_stored_leaves_no_question(
    invoke: Any, work: Any, reviewer: Any, published: Any, monkeypatch: Any
) -> None:
    task = invoke('call charge_and_crash with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    with pytest.raises(Crash):
        work()
    row, pause = ToolCall.objects.get(), tasks.interrupt
    lapse_all()

    def late(attempt: Attempt, *asking: Any) -> str:
        tool_calls.close(row, ToolCall.Status.SUCCEEDED, json.dumps({"content": "charged 3", "status": "success"}))
        return pause(attempt, *asking)

    monkeypatch.setattr(tasks, "interrupt", late)
    work()
    assert "charged 3" in answer_of(task)
    assert not Interrupt.objects.filter(status="pending").exists()


# The heart


def test_a_thread_of_the_heart_that_has_died_is_started_again(monkeypatch: Any) -> None:
    one = Heart()
    monkeypatch.setattr(Heart, "_beat_for_ever", lambda self: None)
    one.start()
    one._threads["heartbeat"].join()
    monkeypatch.undo()
    one.start()
    assert one._threads["heartbeat"].is_alive()
    one.stop()


def test_nothing_that_a_duty_raises_ends_its_thread(monkeypatch: Any) -> None:
    def gone() -> None:
        raise RuntimeError("cannot close")

    monkeypatch.setattr(heartbeat.connections, "close_all", gone)
    assert heartbeat._done(lambda: None) is False


def test_after_an_outage_leases_are_renewed_before_anybody_sweeps(settings: Any, monkeypatch: Any) -> None:
    settings.TASK_HEARTBEAT_SECONDS, settings.TASK_SWEEP_SECONDS = 0.8, 0.05
    away, seen = threading.Event(), []

    def would(name: str) -> Callable[..., None]:
        def duty(*args: Any) -> None:
            if away.is_set():
                raise OperationalError("away")
            seen.append(name)

        duty.__name__ = name
        return duty

    monkeypatch.setattr(Heart, "beat", would("beat"))
    monkeypatch.setattr(heartbeat.sweeper, "sweep_if_due", would("sweep"))
    monkeypatch.setattr(heartbeat, "connection", SimpleNamespace(ensure_connection=would("look")))
    one = Heart()
    one.start()
    try:
        for seconds in (1.0, 1.3, 1.7):  # longer than the time between two heartbeats, or nobody missed any
            away.set()
            time.sleep(seconds)
            seen.clear()
            away.clear()
            until(lambda: "sweep" in seen, 30)
            assert seen.index("beat") < seen.index("sweep")
    finally:
        one.stop()


def test_who_starts_looks_first_whether_others_are_back(monkeypatch: Any) -> None:
    seen: list[str] = []
    look = SimpleNamespace(ensure_connection=lambda: seen.append("look"))
    look.ensure_connection.__name__ = "look"
    monkeypatch.setattr(heartbeat, "connection", look)
    monkeypatch.setattr(heartbeat.sweeper, "sweep_if_due", lambda: seen.append("sweep"))
    one = Heart()
    monkeypatch.setattr(one._quit, "wait", lambda pause: len(seen) == 2)
    one._sweep_for_ever()
    assert seen == ["look", "sweep"]


def test_a_drained_worker_takes_no_more_jobs(invoke: Any, work: Any, monkeypatch: Any) -> None:
    task = invoke("multiply 6 by 7")
    monkeypatch.setattr(heart(), "draining", True)
    work()
    assert again(task).status == "pending"


def test_a_child_sees_that_its_worker_drains(invoke: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(heartbeat, "_drained", bytearray(b"\1"))
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "w")
    assert attempt is not None
    one = Heart()
    with one.keeping(attempt) as stop:
        assert stop.wait(10)
    one.stop()
