"""The kill switch against real worker processes, which find out for themselves; also by the file alone."""

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents import pause_file
from agents.maintenance import sweeper
from agents.models import Attempt, Pause, Task, ToolCall
from reviews import pauses as switch
from reviews.decisions.services import Choice, decide
from reviews.models import AuditEntry
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import calls
from tests.support.processes import Workers, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WHO = switch.Actor("system")
LONG = " then ".join(f'call wait with {{"seconds": 0.{number}}}' for number in range(1, 9)) + " then multiply 6 by 7"


def becomes(task: Task, status: str) -> Task:
    until(lambda: again(task).status == status)
    return again(task)


def pause(scope: str = "everything", value: str = "") -> Pause:
    return switch.pause(scope, value, "an incident", WHO)[0]


@pytest.fixture
def asked(invoke: Any, workers: Workers) -> Task:
    """A call that waits for its review; its worker lives."""
    workers.start()
    return becomes(invoke('call charge with {"amount": 3}'), "interrupted")


@pytest.fixture
def file() -> Iterator[Callable[[str], None]]:
    """Write the pause file of the workers' data folder."""

    def write(text: str) -> None:
        pause_file.path().write_text(text)

    yield write
    pause_file.path().unlink(missing_ok=True)


@pytest.mark.parametrize(("scope", "value"), [("everything", ""), ("tool", "charge")])
def test_an_approved_call_then_a_pause_does_not_run_and_runs_once_after_it(
    scope: str, value: str, asked: Task, reviewer: User
) -> None:
    row = pause(scope, value)
    decide(open_review(asked).pk, reviewer, Choice("accept"))
    time.sleep(4)
    assert (again(asked).status, calls(), ToolCall.objects.count()) == ("pending", [], 0)
    assert Attempt.objects.filter(task=asked).count() <= 2  # it does not spin
    switch.resume(row.pk, WHO)
    becomes(asked, "completed")
    assert calls() == ["charge 3"]


def test_a_running_task_stops_within_five_seconds(invoke: Any, workers: Workers) -> None:
    workers.start()
    task = invoke(LONG)
    until(lambda: ToolCall.objects.filter(task=task).exists())
    row = pause()
    until(lambda: again(task).status == "pending", seconds=5)
    begun = ToolCall.objects.count()
    time.sleep(2)
    assert (ToolCall.objects.count(), again(task).status) == (begun, "pending")
    switch.resume(row.pk, WHO)
    assert "42" in answer_of(becomes(task, "completed"))
    assert ToolCall.objects.filter(runs=1).count() == 9


def test_a_run_that_waits_to_ask_its_model_again_stops_too(invoke: Any, workers: Workers) -> None:
    worker = workers.start(AGENT_MODEL="openai:fail-500")
    task = becomes(invoke("multiply 6 by 7"), "running")
    time.sleep(6)  # the fourth request comes after seven seconds or more
    row = pause("user", "ann")
    until(lambda: again(task).status == "pending", seconds=5)
    worker.kill()
    worker.wait()
    switch.resume(row.pk, WHO)
    workers.start()
    assert "42" in answer_of(becomes(task, "completed"))


def test_a_worker_killed_while_its_task_is_held_loses_and_doubles_nothing(
    asked: Task, workers: Workers, reviewer: User
) -> None:
    row = pause("tool", "charge")
    decide(open_review(asked).pk, reviewer, Choice("accept"))
    until(lambda: again(asked).held_tool == "charge")
    workers.started[0].kill()
    workers.started[0].wait()
    switch.resume(row.pk, WHO)
    workers.start()
    becomes(asked, "completed")
    assert calls() == ["charge 3"]


def test_a_worker_that_dies_under_a_pause_is_taken_over_only_after_it(invoke: Any, workers: Workers) -> None:
    worker = workers.start()
    task = invoke('call wait with {"seconds": 30}')
    until(lambda: ToolCall.objects.filter(task=task).exists())
    row = pause()
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    ToolCall.objects.update(args_text='{"seconds":0.0}')
    workers.start()
    becomes(task, "pending")
    time.sleep(3)
    assert (again(task).status, Attempt.objects.filter(task=task).count()) == ("pending", 1)
    switch.resume(row.pk, WHO)
    assert "waited 0" in answer_of(becomes(task, "completed"))


def test_a_hundred_waiting_tasks_go_on_when_everything_is_resumed(invoke: Any, workers: Workers) -> None:
    row = pause()
    tasks = [invoke("multiply 6 by 7", session=f"s{number}", user=f"user{number % 9}") for number in range(100)]
    workers.start()
    time.sleep(4)
    assert set(Task.objects.values_list("status", flat=True)) == {"pending"}
    assert not Attempt.objects.exists()
    switch.resume(row.pk, WHO)
    until(lambda: set(Task.objects.values_list("status", flat=True)) == {"completed"}, seconds=240)
    assert Attempt.objects.count() == len(tasks)


def test_the_workers_make_up_for_a_process_that_died_right_after_it_resumed(invoke: Any, workers: Workers) -> None:
    row = pause()
    tasks = [invoke("multiply 6 by 7", session=f"s{number}") for number in range(5)]
    workers.start()
    time.sleep(3)
    Pause.objects.filter(pk=row.pk).update(lifted_at=row.created_at)
    for task in tasks:
        assert "42" in answer_of(becomes(task, "completed"))


def test_the_file_pauses_everything_within_seconds_and_work_goes_on_when_it_goes_away(
    invoke: Any, workers: Workers, file: Callable[[str], None]
) -> None:
    workers.start()
    task = invoke(LONG)
    until(lambda: ToolCall.objects.filter(task=task).exists())
    file("the disk is full\n")
    until(lambda: again(task).status == "pending", seconds=5)
    row = Pause.objects.get()
    assert (row.scope, row.reason, row.lifted_at) == ("everything", "the disk is full", None)
    assert sweeper.sweep()["republish_lost"] == 0
    pause_file.path().unlink()
    assert "42" in answer_of(becomes(task, "completed"))
    found = AuditEntry.objects.filter(kind="pause").order_by("pk")
    assert [entry.verb for entry in found] == ["paused", "resumed"]
    assert all(entry.actor.startswith("system:") and entry.actor_id is None for entry in found)


def test_a_worker_that_starts_beside_the_file_begins_nothing(
    invoke: Any, workers: Workers, file: Callable[[str], None]
) -> None:
    file("tool=charge\nuser=bob\n")
    mine, his = invoke("multiply 6 by 7"), invoke("multiply 6 by 7", user="bob")
    workers.start()
    assert "42" in answer_of(becomes(mine, "completed"))
    time.sleep(2)
    assert (again(his).status, Attempt.objects.filter(task=his).count()) == ("pending", 0)
    file("tool=charge\n")
    assert "42" in answer_of(becomes(his, "completed"))
