"""The kill switch as tasks meet it: at the claim, before a call of the model, right before the ledger entry."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from agents import pauses
from agents.maintenance import sweeper
from agents.models import Attempt, Interrupt, Pause, Task, ToolCall
from agents.runtime.run_context import Run
from agents.state import statements, tasks, tool_calls
from agents.worker.heartbeat import Heart, heart
from reviews import pauses as switch
from reviews.decisions.services import Choice, decide
from tests.support.concurrency import in_threads, lapse_all
from tests.support.helpers import again, answer_of, open_review, status_of
from tests.support.oracle import calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle")]

WHO = switch.Actor("system")
SCOPES = [("everything", ""), ("agent", "default"), ("user", "ann"), ("tool", "charge")]
WORK_SCOPES = SCOPES[:3]
CHARGE = 'call charge with {"amount": 3}'
FREE_CHARGE = 'call free_charge with {"amount": 3}'


def pause(scope: str = "everything", value: str = "") -> Pause:
    return switch.pause(scope, value, "an incident", WHO)[0]


def lift(row: Pause) -> None:
    switch.resume(row.pk, WHO)


def approve(task: Task, reviewer: User) -> None:
    decide(open_review(task).pk, reviewer, Choice("accept"))


@pytest.fixture
def approved(invoke: Any, work: Any, reviewer: User, published: list[Any]) -> Task:
    """A call that was approved and has not run yet; its job is out."""
    task = invoke(CHARGE)
    work()
    approve(task, reviewer)
    return task


@pytest.mark.parametrize(("scope", "value"), SCOPES)
def test_an_approved_call_that_is_paused_does_not_run_and_runs_once_when_it_is_resumed(
    scope: str, value: str, approved: Task, work: Any
) -> None:
    row = pause(scope, value)
    work()
    assert (again(approved).status, calls(), ToolCall.objects.count()) == ("pending", [], 0)
    lift(row)
    work()
    assert "charged 3" in answer_of(approved)
    assert calls() == ["charge 3"]
    assert Interrupt.objects.count() == 1


@pytest.mark.parametrize(("scope", "value"), [("agent", "other"), ("user", "bob"), ("tool", "multiply")])
def test_a_pause_of_something_else_holds_nothing(scope: str, value: str, approved: Task, work: Any) -> None:
    Pause.objects.create(scope=scope, value=value, reason="x", by_name="rita")
    work()
    assert calls() == ["charge 3"]


@pytest.mark.parametrize(("scope", "value"), WORK_SCOPES)
def test_a_paused_task_is_not_claimed_and_says_so(scope: str, value: str, invoke: Any, work: Any, api: Any) -> None:
    row = pause(scope, value)
    task = invoke("multiply 6 by 7")
    work()
    found = status_of(api, task)
    assert (found["status"], found["paused"]["scope"], found["paused"]["value"]) == ("pending", scope, value or None)
    assert "reason" not in found["paused"]
    assert not Attempt.objects.exists()
    lift(row)
    work()
    assert "paused" not in status_of(api, task)
    assert "42" in answer_of(task)


def test_a_task_stops_in_front_of_a_paused_tool_and_is_left_alone_until_it_is_resumed(
    invoke: Any, work: Any, published: list[Any], api: Any
) -> None:
    row = pause("tool", "free_charge")
    task = invoke(FREE_CHARGE)
    work()  # would not come back, if each release were claimed again
    assert (again(task).status, again(task).held_tool, calls()) == ("pending", "free_charge", [])
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["held"]
    assert status_of(api, task)["paused"]["value"] == "free_charge"
    Task.objects.update(published_at=tasks.LONG_AGO)
    assert sweeper.sweep()["republish_lost"] == 0
    assert published == []
    lift(row)
    work()
    assert "charged 3" in answer_of(task)
    assert calls() == ["free_charge 3"]


def test_the_other_tools_of_the_task_run(invoke: Any, work: Any) -> None:
    row = pause("tool", "free_charge")
    task = invoke(f"multiply 6 by 7 and {FREE_CHARGE}")
    work()
    assert list(ToolCall.objects.values_list("tool", "status")) == [("multiply", "succeeded")]
    lift(row)
    work()
    assert answer_of(task)
    assert ToolCall.objects.filter(tool="multiply").count() == 1
    assert calls() == ["free_charge 3"]


def test_a_call_beside_it_is_asked_about_and_the_held_one_does_not_wait_for_the_answer(
    invoke: Any, work: Any, reviewer: User
) -> None:
    row = pause("tool", "free_charge")
    task = invoke(f"{CHARGE} and {FREE_CHARGE}")
    work()
    assert (again(task).status, again(task).held_tool, calls()) == ("interrupted", "free_charge", [])
    lift(row)
    work()
    assert (again(task).status, calls()) == ("interrupted", ["free_charge 3"])
    approve(task, reviewer)
    work()
    assert answer_of(task)
    assert sorted(calls()) == ["charge 3", "free_charge 3"]


def test_what_was_asked_beside_a_held_call_runs_as_soon_as_it_is_approved(
    invoke: Any, work: Any, reviewer: User
) -> None:
    row = pause("tool", "free_charge")
    task = invoke(f"{CHARGE} and {FREE_CHARGE}")
    work()
    approve(task, reviewer)
    work()
    assert (again(task).status, again(task).held_tool, calls()) == ("pending", "free_charge", ["charge 3"])
    lift(row)
    work()
    assert sorted(calls()) == ["charge 3", "free_charge 3"]


def test_the_sweeper_wakes_a_task_that_asks_and_was_held_where_nobody_else_did(invoke: Any, work: Any) -> None:
    row = pause("tool", "free_charge")
    task = invoke(f"{CHARGE} and {FREE_CHARGE}")
    work()
    Pause.objects.filter(pk=row.pk).update(lifted_at=row.created_at)  # the process died before it could go on
    assert sweeper.sweep()["wake_held"] == 1
    work()
    assert (again(task).status, calls()) == ("interrupted", ["free_charge 3"])
    assert sweeper.sweep()["wake_held"] == 0


def test_a_review_of_what_is_paused_can_be_decided(invoke: Any, work: Any, reviewer: User) -> None:
    task = invoke(CHARGE)
    work()
    row = pause()
    assert decide(open_review(task).pk, reviewer, Choice("accept")).status == "approved"
    work()
    assert (again(task).status, calls()) == ("pending", [])
    lift(row)
    work()
    assert calls() == ["charge 3"]


def test_a_call_in_doubt_is_not_run_again_while_it_is_paused(
    invoke: Any, work: Any, crash: Any, reviewer: User
) -> None:
    task = invoke('call charge_and_crash with {"amount": 3}')
    work()
    approve(task, reviewer)
    crash()
    work()
    row = pause("tool", "charge_and_crash")
    approve(task, reviewer)
    work()
    assert (again(task).status, len(calls()), ToolCall.objects.get().runs) == ("pending", 1, 1)
    lift(row)
    work()
    assert answer_of(task)
    assert (len(calls()), ToolCall.objects.get().runs) == (2, 2)


@pytest.mark.parametrize(("scope", "value"), WORK_SCOPES)
def test_a_running_task_stops_before_its_next_call_of_the_model(
    scope: str, value: str, invoke: Any, work: Any, monkeypatch: Any
) -> None:
    made: list[Pause] = []
    close = tool_calls.close

    def pause_meanwhile(row: ToolCall, *result: str) -> bool:
        closed = close(row, *result)
        made.append(pause(scope, value))
        return closed

    monkeypatch.setattr(tool_calls, "close", pause_meanwhile)
    task = invoke(f"{FREE_CHARGE} then multiply 6 by 7")
    work()
    assert (again(task).status, calls(), ToolCall.objects.count()) == ("pending", ["free_charge 3"], 1)
    assert Attempt.objects.get().outcome == "held"
    monkeypatch.undo()
    lift(made[0])


def test_a_heart_stops_the_runs_that_are_paused_and_no_others(invoke: Any, work: Any) -> None:
    ann = tasks.claim(invoke("x").pk, "w")
    bob = tasks.claim(invoke("x", user="bob").pk, "w")
    assert ann is not None
    assert bob is not None
    pause("user", "ann")
    own = Heart()
    own.start = lambda: None  # type: ignore[method-assign]
    with own.keeping(ann) as first, own.keeping(bob) as second:
        own.watch()
        assert (first.is_set(), second.is_set()) == (True, False)


def test_what_is_paused_waits_without_using_up_time_or_tries(invoke: Any, work: Any) -> None:
    row = pause("tool", "free_charge")
    task = invoke(FREE_CHARGE)
    for _ in range(4):
        work()
        lift(row)
        row = pause("tool", "free_charge")
    lift(row)
    work()
    assert answer_of(task)
    assert (again(task).lapses, calls()) == (0, ["free_charge 3"])
    assert again(task).run_seconds < 60


def test_a_held_task_can_be_cancelled_and_the_next_of_its_session_goes_on(invoke: Any, work: Any, api: Any) -> None:
    pause("tool", "free_charge")
    first, second = invoke(FREE_CHARGE), invoke("multiply 6 by 7")
    work()
    assert tasks.cancel(first).status == "cancelled"
    work()
    assert "42" in answer_of(second)
    assert calls() == []


def test_a_worker_that_dies_while_its_task_is_held_loses_nothing(invoke: Any, work: Any, published: list[Any]) -> None:
    task = invoke(FREE_CHARGE)
    published.clear()
    tasks.claim(task.pk, "dead")
    row = pause()
    lapse_all()
    work()
    assert again(task).status == "pending"
    lift(row)
    work()
    assert answer_of(task)
    assert calls() == ["free_charge 3"]


def test_the_sweeper_publishes_what_a_process_that_died_while_it_resumed_did_not(
    invoke: Any, work: Any, published: list[Any]
) -> None:
    row = pause()
    waiting = [invoke("multiply 6 by 7", session=f"s{number}") for number in range(3)]
    work()
    Pause.objects.filter(pk=row.pk).update(lifted_at=row.created_at)
    Task.objects.update(published_at="2020-01-02T00:00:00Z")
    assert sweeper.sweep()["republish_lost"] == 3
    work()
    assert all("42" in answer_of(task) for task in waiting)


def test_a_hundred_waiting_tasks_go_on_each_once(invoke: Any, work: Any, published: list[Any]) -> None:
    row = pause()
    for number in range(100):
        invoke("hello", session=f"s{number}", user=f"user{number % 7}")  # one call to the model each
    work()
    for _ in range(3):
        sweeper.sweep()
    assert published == []
    lift(row)
    assert len(published) == len(set(published)) == 100
    work()
    assert set(Task.objects.values_list("status", "token")) == {("completed", 1)}


def test_what_two_pauses_hold_waits_for_both(approved: Task, work: Any) -> None:
    first, second = pause(), pause("user", "ann")
    lift(first)
    work()
    assert (again(approved).status, calls()) == ("pending", [])
    lift(second)
    work()
    assert calls() == ["charge 3"]


def test_the_same_pause_from_many_at_once_is_one() -> None:
    made = in_threads(5, lambda number: switch.pause("tool", "charge", f"reason {number}", WHO))
    assert sorted(is_new for _, is_new in made) == [False] * 4 + [True]
    assert Pause.objects.count() == 1


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="on SQLite nobody else writes meanwhile")
def test_a_pause_is_answered_for_only_when_no_entry_is_on_its_way(invoke: Any) -> None:
    attempt = tasks.claim(invoke("x").pk, "w")
    assert attempt is not None
    entered, may_commit, paused = threading.Event(), threading.Event(), threading.Event()

    def enter() -> None:
        with transaction.atomic():
            pauses.announce_entry()
            pauses.require_none(attempt.task, "charge")
            entered.set()
            may_commit.wait(10)
        connection.close()

    def pause_it() -> None:
        pause()
        paused.set()
        connection.close()

    threads = [threading.Thread(target=enter), threading.Thread(target=pause_it)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    assert not paused.wait(0.5)
    may_commit.set()
    assert paused.wait(10)
    for thread in threads:
        thread.join()


def test_a_drained_worker_hands_over_as_before(invoke: Any, work: Any, monkeypatch: Any) -> None:
    attempt = tasks.claim(invoke("x").pk, "w")
    assert attempt is not None
    tasks.release(attempt)
    assert Attempt.objects.get().outcome == "released"


def test_control_without_the_look_before_the_entry_a_paused_call_runs(invoke: Any, work: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(statements, "are_there", lambda: False)  # they look by themselves
    monkeypatch.setattr(pauses, "require_none", lambda task, tool: None)
    pause("tool", "free_charge")
    invoke(FREE_CHARGE)
    work()
    assert calls() == ["free_charge 3"]


def test_control_without_the_look_before_the_claim_a_paused_task_runs(invoke: Any, work: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(statements, "are_there", lambda: False)
    monkeypatch.setattr(Run, "require_unpaused", lambda self: None)
    monkeypatch.setattr(pauses, "over", lambda task, tool="": None)
    pause()
    task = invoke("multiply 6 by 7")
    work()
    assert "42" in answer_of(task)
    assert heart() is heart()
