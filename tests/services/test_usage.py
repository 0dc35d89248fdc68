"""Real worker processes, one of them killed while it waits for its model: every request is a row all the same."""

import threading
from typing import Any

import pytest

from agents.models import ModelCall, Task
from demo.model_server import replies
from tests.support.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

TASKS = 30


def test_thirty_tasks_and_a_worker_killed_in_mid_call_add_up(
    invoke: Any, workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, asked, waits = replies.completion, [], threading.Event()
    usage: list[Any] = []

    def completion(request: Any, *rest: Any) -> Any:
        """The first answer to the last task comes only when its worker is dead."""
        made = make(request, *rest)
        asked.append(request)
        if "multiply 29 by 7" in str(request["messages"]) and not waits.is_set():
            waits.wait(120)
        else:
            usage.append(made["usage"])
        return made

    monkeypatch.setattr(replies, "completion", completion)
    first = workers.start(AGENT_MODEL="openai:fail-500-once")
    for number in range(TASKS):
        invoke(f"multiply {number} by 7", session=f"s{number}")
    until(lambda: ModelCall.objects.filter(outcome="started").exists() and _ended() == TASKS - 1)
    first.kill()
    first.wait(90)
    waits.set()
    workers.start(AGENT_MODEL="openai:fail-500-once")
    until(lambda: _ended() == TASKS)
    rows = ModelCall.objects.all()
    assert len(rows) == len(asked) + rows.filter(outcome="failed").count()
    answered = rows.filter(outcome="answered")
    assert sum(row.input_tokens or 0 for row in answered) == sum(one["prompt_tokens"] for one in usage)
    assert sum(row.output_tokens or 0 for row in answered) == sum(one["completion_tokens"] for one in usage)
    (lost,) = rows.filter(outcome="started")
    later = rows.filter(step=lost.step, attempt__gt=lost.attempt)
    assert [(row.outcome, row.repeats) for row in later] == [("answered", True)]
    assert rows.filter(outcome="failed").exists()
    assert not rows.filter(outcome="failed", repeats=True).exists()


def _ended() -> int:
    return int(Task.objects.filter(status="completed").count())
