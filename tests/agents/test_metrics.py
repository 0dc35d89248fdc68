"""What the workers count, and how it comes into the database."""

import os
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from django.db import DatabaseError, transaction

from agents.maintenance import sweeper
from agents.management.commands import sweep_tasks
from agents.models import Attempt, Measure, Task
from agents.observability import metrics
from agents.observability.metrics import Counter, Histogram
from agents.runtime.endpoints import errors
from agents.state import tasks
from agents.worker import jobs
from agents.worker.heartbeat import Heart
from reviews.decisions.services import Choice, decide
from tests.support.concurrency import in_threads
from tests.support.helpers import again, open_review

pytestmark = pytest.mark.django_db(transaction=True)

APPLES = Counter("apples_total", "Apples.", ("sort",))
WAIT = Histogram("wait_seconds", "Waiting.", (1, 5))


@pytest.fixture(autouse=True)
def _nothing_counted_before() -> Iterator[None]:
    metrics._process.take()
    yield
    metrics._process.take()


def stored(metric: Counter | Histogram) -> dict[str, float]:
    return dict(Measure.objects.filter(name=metric.name).values_list("labels", "value"))


def counted(metric: Counter | Histogram) -> dict[str, float]:
    """After all has come into the database."""
    metrics.count_ended()
    metrics.flush()
    return stored(metric)


def test_counts_are_added_up_over_flushes() -> None:
    for number in (1, 2):
        metrics.count(APPLES, "red", by=number)
        metrics.count(APPLES, "green")
        metrics.flush()
    assert stored(APPLES) == {'["red"]': 3, '["green"]': 2}


def test_a_flush_without_news_asks_nothing_of_the_database(django_assert_num_queries: Any) -> None:
    metrics.count(APPLES, "red", by=0)
    with django_assert_num_queries(0):
        metrics.flush()


def test_a_flush_writes_only_what_has_changed(django_assert_num_queries: Any) -> None:
    metrics.count(APPLES, "green")
    metrics.count(APPLES, "red")
    metrics.flush()
    metrics.count(APPLES, "red")
    with django_assert_num_queries(3):  # begin, one update, commit
        metrics.flush()


def test_durations_are_sorted_into_buckets() -> None:
    for seconds in (0.5, 1, 1.5, 7, -3):
        metrics.observe(WAIT, seconds)
    assert counted(WAIT) == {'["1"]': 3, '["5"]': 1, '["+Inf"]': 1, '["sum"]': 10}


def test_many_threads_and_processes_lose_nothing() -> None:
    def one(number: int) -> None:
        sums = metrics.Sums()
        for _ in range(5):
            sums.count(APPLES, "red")
            metrics.count(APPLES, "red")
            with transaction.atomic():
                metrics._write(sums.take())
        metrics.flush()

    assert in_threads(8, one) == [None] * 8
    assert counted(APPLES) == {'["red"]': 80}


def test_what_could_not_be_written_is_kept(monkeypatch: Any) -> None:
    metrics.count(APPLES, "red")
    with monkeypatch.context() as patch:
        patch.setattr(metrics, "_write", lambda amounts: (_ for _ in ()).throw(DatabaseError("away")))
        with pytest.raises(DatabaseError):
            metrics.flush()
    metrics.count(APPLES, "red")
    metrics.flush()
    assert stored(APPLES) == {'["red"]': 2}


def test_a_label_of_any_length_fits() -> None:
    metrics.count(MODEL := metrics.MODEL_TOKENS, "ü" * 5000, "\x00" * 5000)
    metrics.flush()
    assert len(next(iter(stored(MODEL)))) <= 1500


def test_what_is_no_number_is_left_out() -> None:
    metrics.count(APPLES, "red", by=float("nan"))
    metrics.flush()
    assert stored(APPLES) == {}


def test_a_forked_child_starts_from_nothing() -> None:
    metrics.count(APPLES, "red")
    if (child := os.fork()) == 0:
        os._exit(len(metrics._process.take()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    metrics.flush()
    assert stored(APPLES) == {'["red"]': 1}


# The sweeper's thread


def test_each_sweep_flushes() -> None:
    metrics.count(APPLES, "red")
    Heart().sweep()
    assert stored(APPLES) == {'["red"]': 1}


def test_a_flush_that_fails_costs_nothing_else(monkeypatch: Any, caplog: Any) -> None:
    metrics.count(APPLES, "red")
    monkeypatch.setattr(metrics, "_write", lambda amounts: (_ for _ in ()).throw(DatabaseError("away")))
    Heart().sweep()
    assert "flush: away" in caplog.text


def test_a_worker_that_stops_flushes(monkeypatch: Any) -> None:
    metrics.count(APPLES, "red")
    jobs._flush()
    assert stored(APPLES) == {'["red"]': 1}


def test_a_worker_that_stops_without_a_database_says_so(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(metrics, "flush", lambda: (_ for _ in ()).throw(DatabaseError("away")))
    jobs._flush()
    assert "is lost: away" in caplog.text


# Tasks


def test_a_completed_task_counts_once(invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    assert metrics.count_ended() == 1
    assert metrics.count_ended() == 0
    assert stored(metrics.TASKS_FINISHED) == {'["completed"]': 1}


def test_its_running_time_is_that_of_its_row(invoke: Any, work: Any) -> None:
    task = invoke("multiply 6 by 7")
    work()
    Task.objects.filter(pk=task.pk).update(run_seconds=42.5)
    assert counted(metrics.RUN_SECONDS) == {'["60"]': 1, '["sum"]': 42.5}


def test_unfinished_tasks_are_not_counted(invoke: Any, work: Any) -> None:
    invoke("book the Ritz for 2 nights")
    work()
    invoke("multiply 6 by 7")
    assert counted(metrics.TASKS_FINISHED) == {}


def test_a_task_that_was_cancelled_before_it_ran_has_no_running_time(invoke: Any) -> None:
    tasks.cancel(invoke("multiply 6 by 7"))
    assert counted(metrics.TASKS_FINISHED) == {'["cancelled"]': 1}
    assert stored(metrics.RUN_SECONDS) == {}


def test_more_tasks_than_a_batch_are_all_counted(invoke: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(metrics, "BATCH", 2)
    for number in range(5):
        tasks.cancel(invoke("hello", session=f"s{number}"))
    assert metrics.count_ended() == 5


def test_one_heartbeat_counts_no_more_than_its_rounds(invoke: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(metrics, "BATCH", 1)
    monkeypatch.setattr(metrics, "ROUNDS", 2)
    for number in range(3):
        tasks.cancel(invoke("hello", session=f"s{number}"))
    assert [metrics.count_ended() for _ in range(3)] == [2, 1, 0]


def test_workers_that_count_at_once_count_each_task_once(invoke: Any) -> None:
    for number in range(20):
        tasks.cancel(invoke("hello", session=f"s{number}"))
    assert sum(in_threads(4, lambda number: metrics.count_ended())) == 20
    assert counted(metrics.TASKS_FINISHED) == {'["cancelled"]': 20}


def test_a_task_is_marked_only_together_with_its_count(invoke: Any, monkeypatch: Any) -> None:
    task = tasks.cancel(invoke("hello"))
    with monkeypatch.context() as patch:
        patch.setattr(metrics, "_write", lambda amounts: (_ for _ in ()).throw(DatabaseError("away")))
        with pytest.raises(DatabaseError):
            metrics.count_ended()
    assert not again(task).counted
    assert counted(metrics.TASKS_FINISHED) == {'["cancelled"]': 1}


def test_each_claim_notes_how_long_the_task_was_pending(invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    Task.objects.filter(pk=task.pk).update(updated_at="2020-01-01T00:00:00Z", published_at="2026-01-01T00:00:00Z")
    tasks.claim(task.pk, "w")
    found = counted(metrics.QUEUE_SECONDS)
    assert found['["+Inf"]'] == 1
    assert found['["sum"]'] > 5 * 365 * 86_400


# Sweeper


def test_what_the_sweeper_mends_is_counted_by_duty(invoke: Any) -> None:
    for session in ("s1", "s2"):
        tasks.claim(invoke("multiply 6 by 7", session=session).pk, "w")
    Attempt.objects.update(lease_until="2020-01-01T00:00:00Z")
    sweeper.sweep()
    assert counted(metrics.SWEEPER_ACTIONS) == {'["lapse_leases"]': 2}
    assert stored(metrics.SWEEPER_FAILURES) == {}


def test_a_duty_that_fails_is_counted(monkeypatch: Any) -> None:
    def broken() -> int:
        raise ValueError

    monkeypatch.setattr(sweeper, "DUTIES", (broken,))
    sweeper.sweep()
    assert counted(metrics.SWEEPER_FAILURES) == {'["broken"]': 1}


def test_the_command_writes_what_it_has_counted(invoke: Any) -> None:
    tasks.claim(invoke("multiply 6 by 7").pk, "w")
    Attempt.objects.update(lease_until="2020-01-01T00:00:00Z")
    sweep_tasks.Command().handle()
    assert stored(metrics.SWEEPER_ACTIONS) == {'["lapse_leases"]': 1}


# Tool calls and models


def test_a_tool_call_counts_by_what_became_of_it(invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    assert counted(metrics.TOOL_CALLS) == {'["multiply","succeeded"]': 1}


@pytest.mark.usefixtures("oracle")
def test_a_refused_tool_call_has_failed(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call charge_and_refuse with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert counted(metrics.TOOL_CALLS) == {'["charge_and_refuse","failed"]': 1}


@pytest.mark.usefixtures("oracle")
def test_a_call_in_doubt_counts_as_that_and_by_its_end(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call charge_and_time_out with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert counted(metrics.TOOL_CALLS) == {'["charge_and_time_out","in_doubt"]': 1}
    decide(open_review(task).pk, reviewer, Choice("response", args="it happened"))
    work()
    assert counted(metrics.TOOL_CALLS)['["charge_and_time_out","succeeded"]'] == 1
    assert stored(metrics.TOOL_CALLS)['["charge_and_time_out","in_doubt"]'] == 1


def test_model_calls_count_with_tokens_and_time(invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    assert counted(metrics.MODEL_CALLS) == {'["demo","answered"]': 2}
    tokens = stored(metrics.MODEL_TOKENS)
    assert tokens['["demo","input"]'] > tokens['["demo","output"]'] > 0
    assert stored(metrics.MODEL_SECONDS)['["demo","sum"]'] > 0
    assert stored(metrics.MODEL_ERRORS) == {}


def test_a_failing_model_counts_by_kind_and_retry(invoke: Any, work: Any, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "MODEL": "openai:fail-500"}}
    settings.MODEL_RETRY_SECONDS = 2.0
    invoke("multiply 6 by 7")
    work()
    assert counted(metrics.MODEL_CALLS) == {'["fail-500","failed"]': 1}
    retries = stored(metrics.MODEL_RETRIES)['["fail-500"]']
    assert retries >= 1
    assert stored(metrics.MODEL_ERRORS) == {'["http_500"]': retries + 1}


def test_answers_that_are_none_count_by_kind_too(invoke: Any, work: Any, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "MODEL": "openai:odd-empty"}}
    invoke("what did I ask before")
    work()
    assert counted(metrics.MODEL_ERRORS) == {'["no_answer"]': 2}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (openai.APITimeoutError(request=Any), "timeout"),  # type: ignore[arg-type]
        (openai.APIConnectionError(request=Any), "connection"),  # type: ignore[arg-type]
        (ValueError(), "no_completion"),
    ],
)
def test_other_failures_have_kinds_of_their_own(error: Any, kind: str) -> None:
    assert errors.read(error).kind == kind
