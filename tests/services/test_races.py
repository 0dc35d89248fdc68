"""Races between processes, and a broker that forgets everything."""

import json
from typing import Any

import pytest
from celery import current_app

from agents import broker
from agents.models import Interrupt, Task
from agents.policy import Terms, Verdict
from agents.state import interrupts
from reviews.models import Decision
from tests.support.helpers import again, answer_of
from tests.support.processes import in_shell, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

COUNT = 200
VERDICT = Verdict("review", "test", Terms()).to_text()
DECIDE_ALL = """
import json
from django.contrib.auth.models import User
from agents.models import Interrupt
from core.errors import Conflict
from reviews.decisions.services import Choice, decide
who, kind = User.objects.get(username="rita"), "KIND"
won = []
for pk in sorted(Interrupt.objects.values_list("pk", flat=True)):
    try:
        decide(pk, who, Choice(kind, message="no" if kind == "reject" else ""))
        won.append(str(pk))
    except Conflict as error:
        assert error.code == "already_decided", error
print(json.dumps(won))
"""


@pytest.fixture
def many(invoke: Any) -> list[Interrupt]:
    """Reviews of as many tasks that wait for a person."""
    tasks = [invoke("x", session=f"s{number}", user=f"user{number % 40}") for number in range(COUNT)]
    Task.objects.update(status="interrupted")
    return Interrupt.objects.bulk_create(_asked(task) for task in tasks)


def _asked(task: Task) -> Interrupt:
    digest = interrupts.digest_of(task.pk, "charge", "{}", VERDICT)
    fields = {"args_text": "{}", "verdict_text": VERDICT, "args_digest": digest, "tool": "charge"}
    return Interrupt(task=task, kind="tool_call", message_id="m", tool_call_id="c", graph_id="g", **fields)


def test_two_processes_that_decide_the_same_reviews_have_one_winner_each(
    many: list[Interrupt], workers: Any, reviewer: Any
) -> None:
    env = {**workers.env, "LOG_LEVEL": "ERROR"}
    kinds = ("accept", "reject")
    logs = [workers.folder / f"{kind}.log" for kind in kinds]
    both = [
        in_shell(workers.server, DECIDE_ALL.replace("KIND", kind), env, log)
        for kind, log in zip(kinds, logs, strict=True)
    ]
    for one, log in zip(both, logs, strict=True):
        assert one.wait(120) == 0, log.read_text()
    accepted, rejected = (set(json.loads(log.read_text())) for log in logs)
    assert not accepted & rejected
    assert accepted | rejected == {str(row.pk) for row in many}
    assert Decision.objects.count() == COUNT
    assert Interrupt.objects.filter(status="approved").count() == len(accepted)
    assert set(Task.objects.values_list("status", flat=True)) == {"pending"}


def test_a_broker_that_forgets_everything_loses_no_task(invoke: Any, workers: Any) -> None:
    tasks = [invoke("multiply 6 by 7", session=f"s{number}") for number in range(5)]
    assert (broker.waiting() or 0) >= len(tasks)
    with current_app.connection_for_write() as connection:
        assert connection.default_channel.queue_purge(current_app.conf.task_default_queue) >= len(tasks)
    assert broker.waiting() == 0
    workers.start()
    for task in tasks:
        until(lambda task=task: again(task).status == "completed")  # type: ignore[misc]
        assert "42" in answer_of(task)
