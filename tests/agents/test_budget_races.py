"""Budgets of tasks in parallel: never more calls than the limit and those in flight, and nothing lost by a crash."""

import threading
from contextlib import suppress
from typing import Any

import pytest

from agents.models import BudgetExtension, Interrupt, ModelCall
from agents.state import budgets, model_calls, tasks
from agents.worker import jobs
from agents.worker.heartbeat import Heart
from tests.support.budget_rows import budget, question
from tests.support.concurrency import in_threads, lapse_all
from tests.support.helpers import again, answer_of, resume
from tests.support.oracle import Crash

pytestmark = pytest.mark.django_db(transaction=True)

FOUR_CALLS = "multiply 6 by 7, then multiply 2 by 3, then multiply 4 by 5"
TASKS, LIMIT = 10, 20


@pytest.fixture
def ten(invoke: Any, published: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Ten tasks that would make forty calls."""
    monkeypatch.setattr(Heart, "start", lambda self: None)
    made = [invoke(FOUR_CALLS, session=f"s{number}") for number in range(TASKS)]
    published.clear()
    return made


def together(some: list[Any]) -> None:
    assert in_threads(len(some), lambda number: jobs.run(str(some[number].pk))) == [None] * len(some)


def test_parallel_tasks_make_exactly_the_calls_of_the_budget(ten: list[Any]) -> None:
    budget(LIMIT, scope="everything", period="month")
    together(ten)
    assert ModelCall.objects.count() == LIMIT
    assert {again(task).status for task in ten} <= {"interrupted", "completed"}
    waiting = [task for task in ten if again(task).status == "interrupted"]
    assert [question(task).round for task in waiting] == [0] * len(waiting)


def test_without_the_lock_they_make_more(ten: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: all look before any of them enters its call."""
    budget(5, scope="everything", period="month")
    looked = threading.Barrier(TASKS)

    def unlocked(task: Any, some: Any, enter: Any) -> Any:
        breached = [state for state in budgets.states_of(task, some) if state.is_breached]
        with suppress(threading.BrokenBarrierError):
            looked.wait(20)
            looked.abort()
        if breached:
            raise budgets.Breach(breached[0])
        return enter()

    monkeypatch.setattr(budgets, "within", unlocked)
    together(ten)
    assert ModelCall.objects.count() > 5


def test_a_worker_that_dies_before_it_has_paused_asks_once(
    invoke: Any, work: Any, published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(1)
    task = invoke("multiply 6 by 7")
    with monkeypatch.context() as dying:
        dying.setattr(jobs, "record", crashing)
        with pytest.raises(Crash):
            work()
    assert not Interrupt.objects.exists()
    lapse_all()
    work()
    assert question(task).round == 0
    assert ModelCall.objects.count() == 1


@pytest.mark.parametrize("response_type", ["accept", "response"])
def test_a_worker_that_dies_after_the_decision_does_not_ask_again(
    invoke: Any, work: Any, rita_api: Any, monkeypatch: pytest.MonkeyPatch, response_type: str
) -> None:
    budget(1)
    task = invoke("multiply 6 by 7, then multiply 2 by 3")
    work()
    more = {"args": "Sum up."} if response_type == "response" else {"args": {"amount": 9}}
    resume(rita_api, task, response_type, interrupt_id=str(question(task).pk), **more)
    with monkeypatch.context() as dying:
        dying.setattr(model_calls, "enter", crashing)
        with pytest.raises(Crash):
            work()
    lapse_all()
    work()
    assert again(task).status == "completed"
    assert Interrupt.objects.count() == 1
    assert ModelCall.objects.count() == (2 if response_type == "response" else 3)
    assert again(task).tool_calls.count() == (1 if response_type == "response" else 2)


def test_two_extensions_at_once_count_once(invoke: Any, work: Any, rita_api: Any) -> None:
    budget(1)
    task = invoke("multiply 6 by 7")
    work()
    key = str(question(task).pk)
    answers = in_threads(4, lambda number: resume(rita_api, task, interrupt_id=key, args={"amount": 5}).status_code)
    assert answers == [202] * 4
    assert [one.amount for one in BudgetExtension.objects.all()] == [5]
    work()
    assert "42" in answer_of(task)


def test_a_cancellation_and_a_refusal_at_once_do_not_lock_one_another_out(
    invoke: Any, work: Any, rita_api: Any, api: Any
) -> None:
    budget(1)
    some = [invoke("multiply 6 by 7", session=f"s{number}") for number in range(4)]
    work()

    def end(number: int) -> int:
        task = some[number // 2]
        if number % 2:
            tasks.cancel(task)
            return 202
        key = Interrupt.objects.get(task=task, kind="budget").pk
        return int(resume(rita_api, task, "reject", interrupt_id=str(key)).status_code)

    assert set(in_threads(8, end)) <= {202, 409}
    assert {again(task).status for task in some} == {"cancelled"}


def crashing(*args: Any, **more: Any) -> Any:
    raise Crash("the worker dies")
