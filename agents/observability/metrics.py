"""Metrics of the workers: counted in memory, added to the database at each sweep, and summed there over all machines.

`agentsite/api/metrics.py` exposes them to Prometheus. Counting never waits for the database; if a worker is killed, the
counts since its last sweep are lost. Ends of tasks are read from the rows of tasks instead, so that none is missed or
counted twice, no matter which process ended the task.
"""

import math
import os
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import DatabaseError, transaction
from django.db.models import F, QuerySet

from agents.models import FINAL, Measure, Task
from core.text import canonical, shortened

VALUE_LENGTH = 100  # characters of a label's value; longer ones are cut
BATCH = 500  # ended tasks in one transaction
ROUNDS = 20  # batches in one sweep
SUM = "sum"  # in place of a bucket's bound: the sum of a histogram's seconds

Key = tuple[str, str]  # name and labels of a `Measure`


@dataclass(frozen=True)
class Counter:
    """A metric that only increases."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Histogram:
    """Durations in seconds, sorted into buckets by their upper bounds."""

    name: str
    help: str
    bounds: tuple[float, ...]
    labels: tuple[str, ...] = ()

    def bucket(self, seconds: float) -> str:
        """Return the smallest bound that the duration does not exceed, as a value of the label `le`."""
        return next((f"{bound:g}" for bound in self.bounds if seconds <= bound), "+Inf")


TASKS_FINISHED = Counter(
    "agentsite_tasks_finished_total",
    "Finished tasks by final status. A task that is deleted within seconds of its end may be missing.",
    ("status",),
)
TOOL_CALLS = Counter(
    "agentsite_tool_calls_total",
    "Tool calls that were let through or denied, by outcome. A call in doubt counts again when it is resolved.",
    ("tool", "status"),
)
SWEEPER_ACTIONS = Counter("agentsite_sweeper_actions_total", "Rows that the sweeper repaired, by duty.", ("duty",))
SWEEPER_FAILURES = Counter("agentsite_sweeper_failures_total", "Failed duties of the sweeper.", ("duty",))
MODEL_CALLS = Counter(
    "agentsite_model_calls_total", "Model calls by outcome. A call includes all its retries.", ("model", "outcome")
)
MODEL_ERRORS = Counter(
    "agentsite_model_errors_total",
    "Requests to a model that failed or returned no usable answer, including requests that were retried.",
    ("kind",),
)
MODEL_RETRIES = Counter("agentsite_model_retries_total", "Requests to a model that were retried.", ("model",))
MODEL_TOKENS = Counter(
    "agentsite_model_tokens_total", "Tokens, as reported by the model's endpoint.", ("model", "direction")
)
BROKER_ERRORS = Counter(
    "agentsite_broker_errors_total", "Errors that made a worker reconnect to the broker, by class.", ("error",)
)
UNREADABLE_MESSAGES = Counter(
    "agentsite_unreadable_messages_total", "Unreadable message files that were moved away, in the setup without Redis."
)
QUEUE_SECONDS = Histogram(
    "agentsite_task_queue_seconds",
    "How long a pending task waited for a worker, measured at each claim.",
    (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
RUN_SECONDS = Histogram(
    "agentsite_task_run_seconds",
    "How long a finished task ran, in all its attempts. Waiting for people does not count.",
    (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
MODEL_SECONDS = Histogram(
    "agentsite_model_call_seconds",
    "How long a model call took, including all its retries.",
    (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120),
    ("model",),
)
COUNTERS = (
    *(TASKS_FINISHED, TOOL_CALLS, SWEEPER_ACTIONS, SWEEPER_FAILURES),
    *(MODEL_CALLS, MODEL_ERRORS, MODEL_RETRIES, MODEL_TOKENS),
    *(BROKER_ERRORS, UNREADABLE_MESSAGES),
)
HISTOGRAMS = (QUEUE_SECONDS, RUN_SECONDS, MODEL_SECONDS)


class Sums:
    """Amounts by measure. Several threads can add to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._amounts: dict[Key, float] = defaultdict(float)

    def count(self, counter: Counter, *labels: str, by: float = 1) -> None:
        """Add to a counter. `labels` are the values of its labels, in order."""
        self.add({(counter.name, _written(labels)): by})

    def observe(self, histogram: Histogram, seconds: float, *labels: str) -> None:
        """Add a duration to its bucket. A negative one counts as 0, because clocks may disagree."""
        seconds = max(seconds, 0.0)
        bucket, total = _written((*labels, histogram.bucket(seconds))), _written((*labels, SUM))
        self.add({(histogram.name, bucket): 1, (histogram.name, total): seconds})

    def add(self, amounts: Mapping[Key, float]) -> None:
        """Add all these amounts."""
        with self._lock:
            for key, amount in amounts.items():
                self._amounts[key] += amount

    def take(self) -> dict[Key, float]:
        """Return what has been added since the last call, and start again at 0."""
        with self._lock:
            taken, self._amounts = self._amounts, defaultdict(float)
        return {key: amount for key, amount in taken.items() if amount and math.isfinite(amount)}


_process = Sums()


def _forget_parents() -> None:
    global _process
    _process = Sums()  # a lock may be held by a thread that the fork did not copy, and the sums are the parent's


os.register_at_fork(after_in_child=_forget_parents)


def count(counter: Counter, *labels: str, by: float = 1) -> None:
    """Count something that has happened in this process."""
    _process.count(counter, *labels, by=by)


def observe(histogram: Histogram, seconds: float, *labels: str) -> None:
    """Record how long something took in this process."""
    _process.observe(histogram, seconds, *labels)


def flush() -> None:
    """Add the counts of this process to the database.

    Raises DatabaseError if that fails, and keeps the counts for the next time.
    """
    taken = _process.take()
    if not taken:
        return
    try:
        with transaction.atomic():
            _write(taken)
    except DatabaseError:
        _process.add(taken)
        raise


def count_ended() -> int:
    """Count the tasks that have ended, each once, in the transaction that marks its row. Returns how many."""
    done = 0
    for _ in range(ROUNDS):
        # Queried outside of the transaction, which on SQLite blocks all other writers.
        found = list(_uncounted().values_list("pk", flat=True)[:BATCH])
        if not found or not (counted := _count(found)):
            break
        done += counted
    return done


def _count(found: list[uuid.UUID]) -> int:
    sums = Sums()
    with transaction.atomic():
        # Another worker may process the same rows: the one that locks a row counts it.
        rows = _uncounted().filter(pk__in=found).select_for_update(no_key=True, skip_locked=True)
        ended = list(rows.values_list("pk", "status", "token", "run_seconds"))
        for _, status, token, run_seconds in ended:
            sums.count(TASKS_FINISHED, status)
            if token:  # it has run
                sums.observe(RUN_SECONDS, run_seconds)
        Task.objects.filter(pk__in=[row[0] for row in ended]).update(counted=True)
        _write(sums.take())
    return len(ended)


def _uncounted() -> QuerySet[Task]:
    return Task.objects.filter(counted=False, status__in=FINAL)


def _write(amounts: Mapping[Key, float]) -> None:
    for (name, labels), amount in sorted(amounts.items()):  # in one order, to avoid deadlocks between workers
        rows = Measure.objects.filter(name=name, labels=labels)
        if not rows.update(value=F("value") + amount):
            Measure.objects.bulk_create([Measure(name=name, labels=labels)], ignore_conflicts=True)
            rows.update(value=F("value") + amount)


def _written(labels: tuple[str, ...]) -> str:
    return canonical([shortened(label, VALUE_LENGTH) for label in labels])
