"""Budgets over two real worker processes, one of which is killed: never more calls than the budget allows."""

from typing import Any

import pytest

from agents.models import Budget, Interrupt, ModelCall, Task
from tests.support.budget_rows import budget, question
from tests.support.helpers import resume
from tests.support.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

FOUR_CALLS = "multiply 6 by 7, then multiply 2 by 3, then multiply 4 by 5"
TASKS, LIMIT = 10, 20


def test_two_workers_share_a_budget_and_go_on_after_an_extension(
    invoke: Any, workers: Any, api: Any, reviewer: Any
) -> None:
    budget(LIMIT, scope="everything", period="month", requester_may_extend=True)
    first = workers.start()
    workers.start()
    tasks = [invoke(FOUR_CALLS, session=f"s{number}") for number in range(TASKS)]
    until(lambda: _count("interrupted") + _count("completed") == TASKS)
    assert ModelCall.objects.count() == LIMIT
    asked = Interrupt.objects.filter(kind="budget")
    assert {row.round for row in asked} == {0}
    first.kill()
    first.wait(90)
    waiting = Task.objects.filter(pk__in=[task.pk for task in tasks], status="interrupted").first()
    assert waiting is not None
    key = str(question(waiting).pk)
    assert resume(api, waiting, interrupt_id=key, args={"amount": 100}).status_code == 202
    until(lambda: _count("completed") == TASKS)
    assert ModelCall.objects.filter(repeats=False).count() == 4 * TASKS
    assert Budget.objects.get().uses.get().extensions.count() == 1


def test_finish_after_the_death_of_the_worker_that_asked(invoke: Any, workers: Any, api: Any) -> None:
    budget(1, requester_may_extend=True)
    first = workers.start()
    task = invoke(FOUR_CALLS)
    until(lambda: _count("interrupted"))
    first.kill()
    first.wait(90)
    body = {"interrupt_id": str(question(task).pk), "args": "Sum up."}
    assert resume(api, task, "response", **body).status_code == 202
    workers.start()
    until(lambda: _count("completed"))
    assert ModelCall.objects.count() == 2
    assert task.tool_calls.count() == 1


def _count(status: str) -> int:
    return int(Task.objects.filter(status=status).count())
