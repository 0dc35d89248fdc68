"""Real worker processes, killed, stalled and flooded. The oracle's file says what has really happened."""

import signal
import time
from typing import Any

import pytest
from django.conf import settings

from agents import broker
from agents.models import Attempt, Interrupt, Task, ToolCall
from reviews.decisions.services import Choice, decide
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import calls, keys
from tests.support.processes import freeze, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def becomes(task: Task, status: str) -> Task:
    until(lambda: again(task).status == status)
    return again(task)


@pytest.fixture
def approved(invoke: Any, workers: Any, reviewer: Any) -> Any:
    """Submit a call, let the worker ask, approve it."""

    def approve(query: str) -> Task:
        task = becomes(invoke(query), "interrupted")
        decide(open_review(task).pk, reviewer, Choice("accept"))
        return task

    return approve


def test_a_task_accepted_without_any_worker_runs_when_one_comes(invoke: Any, workers: Any) -> None:
    task = invoke("multiply 6 by 7")
    workers.start()
    assert "42" in answer_of(becomes(task, "completed"))


def test_kill_9_inside_an_approved_call_leaves_it_in_doubt_and_never_runs_it_again(approved: Any, workers: Any) -> None:
    worker = workers.start()
    task = approved('call charge_and_die with {"amount": 3}')
    assert worker.wait(90) == -signal.SIGKILL
    workers.start()
    review = until(lambda: Interrupt.objects.filter(task=task, kind="in_doubt", status="pending").first())
    time.sleep(3)
    assert review.tool == "charge_and_die"
    assert calls() == ["charge_and_die 3"]


def test_kill_9_inside_an_idempotent_call_runs_it_again_with_the_same_key(approved: Any, workers: Any) -> None:
    worker = workers.start()
    task = approved('call put_and_die with {"amount": 3}')
    worker.wait(90)
    workers.start()
    becomes(task, "completed")
    assert calls() == ["put_and_die 3"] * 2
    assert len(set(keys())) == 1


def test_kill_9_in_mid_run_is_taken_over_by_another_worker(invoke: Any, workers: Any) -> None:
    worker = workers.start()
    task = invoke('call wait with {"seconds": 30}')
    until(lambda: ToolCall.objects.filter(task=task).exists())
    worker.kill()
    ToolCall.objects.update(args_text='{"seconds": 0}')
    workers.start()
    assert "waited 0" in answer_of(becomes(task, "completed"))


def test_a_task_that_kills_its_worker_each_time_is_given_up(invoke: Any, workers: Any) -> None:
    task = invoke("call suicide with {}")
    for _ in range(3):
        workers.start().wait(90)
    workers.start()
    assert "3 times in a row" in becomes(task, "error").message


def test_a_worker_stopped_beyond_its_lease_wakes_up_and_changes_nothing(approved: Any, workers: Any) -> None:
    first = workers.start()
    task = approved('call slow_charge with {"seconds": 6}')  # longer than it may take to stop the worker
    until(lambda: ToolCall.objects.filter(task=task, status="started").exists())
    freeze(first)
    assert ToolCall.objects.get(task=task).status == "started"
    workers.start()
    until(lambda: Interrupt.objects.filter(task=task, kind="in_doubt", status="pending").exists())
    first.send_signal(signal.SIGCONT)
    becomes(task, "completed")
    assert calls() == ["slow_charge 6"]
    assert Interrupt.objects.get(kind="in_doubt").answered_by == "system"


def test_sigterm_hands_a_running_task_over(invoke: Any, workers: Any) -> None:
    worker = workers.start()
    task = invoke('call wait with {"seconds": 3}')
    until(lambda: ToolCall.objects.filter(task=task).exists())
    worker.terminate()
    assert worker.wait(90) == 0
    assert Attempt.objects.get(task=task).outcome == "released"
    workers.start()
    assert "waited 3" in answer_of(becomes(task, "completed"))


def test_sigterm_hands_a_running_task_over_from_a_prefork_child_too(invoke: Any, workers: Any) -> None:
    worker = workers.start(WORKER_POOL="prefork", WORKER_CONCURRENCY="1")
    task = invoke('call wait with {"seconds": 3} then call wait with {"seconds": 4} then call wait with {"seconds": 5}')
    until(lambda: ToolCall.objects.filter(task=task).exists())
    worker.terminate()
    assert worker.wait(90) == 0
    assert Attempt.objects.get(task=task).outcome == "released"
    workers.start(WORKER_POOL="solo")
    assert "waited 5" in answer_of(becomes(task, "completed"))


def test_each_message_ten_times_and_two_workers_run_a_call_once(approved: Any, workers: Any) -> None:
    workers.start()
    workers.start()
    task = approved('call charge with {"amount": 3}')
    for _ in range(10):
        broker.publish(task.pk)
    becomes(task, "completed")
    assert calls() == ["charge 3"]


def test_a_decision_taken_while_no_worker_lives_takes_effect_later(invoke: Any, workers: Any, reviewer: Any) -> None:
    worker = workers.start()
    task = becomes(invoke('call charge with {"amount": 3}'), "interrupted")
    worker.kill()
    worker.wait()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    workers.start()
    becomes(task, "completed")
    assert calls() == ["charge 3"]


def test_a_prefork_worker_outlives_the_children_that_a_task_kills(invoke: Any, workers: Any) -> None:
    worker = workers.start(WORKER_POOL="prefork", WORKER_CONCURRENCY="2")
    assert "3 times in a row" in becomes(invoke("call suicide with {}"), "error").message
    assert "42" in answer_of(becomes(invoke("multiply 6 by 7", session="other"), "completed"))
    assert worker.poll() is None


@pytest.mark.skipif(not settings.REDIS_URL, reason="the filesystem broker's workers reserve jobs")
def test_a_busy_worker_leaves_jobs_to_one_that_is_free(invoke: Any, workers: Any) -> None:
    alone = {"WORKER_CONCURRENCY": "1", "TASK_REPUBLISH_SECONDS": "60"}
    workers.start(**alone)
    long = invoke('call wait with {"seconds": 90}', session="long")
    becomes(long, "running")
    short = invoke("multiply 6 by 7", session="short")
    workers.start(**alone)
    assert "42" in answer_of(becomes(short, "completed"))
    assert again(long).status == "running"
