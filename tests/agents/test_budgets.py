"""Budgets at calls of the model: what counts, what a breach does, and what follows the decision."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.maintenance import budgets as upkeep
from agents.maintenance import sweeper
from agents.models import Budget, BudgetExtension, BudgetUse, Interrupt, ModelCall, Task
from agents.runtime.endpoints import calls
from agents.runtime.middleware.budgets import NO_SUMMARY
from agents.state import budgets
from agents.state.interrupts import SYSTEM
from core.db.process_cache import process
from demo.model_server import replies
from demo.model_server.rules import ToolCall
from tests.support.budget_rows import budget, question
from tests.support.helpers import again, answer_of, resume, status_of
from tests.support.usage_rows import call, open_call

pytestmark = pytest.mark.django_db(transaction=True)

TWO_CALLS = "multiply 6 by 7"  # the model is asked twice
PRICES = '{"demo": {"input": 1000000, "output": 1000000}}'  # a token costs 1


def decide(api: Any, task: Task, response_type: str = "accept", **more: Any) -> Any:
    return resume(api, task, response_type, interrupt_id=str(question(task).pk), **more)


def test_without_a_budget_nothing_is_asked(invoke: Any, work: Any) -> None:
    task = invoke(TWO_CALLS)
    work()
    assert again(task).status == "completed"


def test_a_breach_asks_before_the_call(invoke: Any, work: Any, api: Any) -> None:
    budget(1)
    task = invoke(TWO_CALLS)
    work()
    assert again(task).status == "interrupted"
    assert ModelCall.objects.count() == 1
    asked = question(task)
    assert asked.description == "This task has used 1 of 1 model calls."
    assert (asked.on_expiry, asked.deciders, asked.distinct) == ("wait", '["reviewers"]', True)
    shown = status_of(api, task)["last_response"]["interrupt_data"]
    assert shown["interrupt_type"] == "budget"
    assert shown["action_request"]["args"]["used"] == shown["action_request"]["args"]["limit"] == "1"


def test_an_extension_lets_the_task_go_on_from_where_it_stood(invoke: Any, work: Any, rita_api: Any) -> None:
    budget(1)
    task = invoke(TWO_CALLS)
    work()
    assert decide(rita_api, task, args={"amount": 3}).status_code == 202
    work()
    assert "42" in answer_of(task)
    assert ModelCall.objects.count() == 2
    extension = BudgetExtension.objects.get()
    assert (extension.amount, extension.by_name, extension.use.extended) == (3, "rita", 3)
    assert not Interrupt.objects.filter(used_at=None).exists()


def test_without_an_amount_it_is_extended_by_the_limit(invoke: Any, work: Any, rita_api: Any) -> None:
    budget(1)
    task = invoke(TWO_CALLS)
    work()
    assert decide(rita_api, task).status_code == 202
    assert BudgetExtension.objects.get().amount == 1


def test_a_budget_that_is_used_up_again_asks_again(invoke: Any, work: Any, rita_api: Any) -> None:
    budget(1)
    task = invoke("multiply 6 by 7, then multiply 2 by 3")
    work()
    decide(rita_api, task)
    work()
    assert [row.round for row in Interrupt.objects.filter(kind="budget").order_by("round")] == [0, 1]
    decide(rita_api, task, args={"amount": "5"})
    work()
    assert again(task).status == "completed"


def test_finish_gives_an_answer_without_tools(invoke: Any, work: Any, rita_api: Any, model_server: Any) -> None:
    budget(1)
    task = invoke("multiply 6 by 7, then multiply 2 by 3")
    work()
    model_server.received.clear()
    assert decide(rita_api, task, "response", args="Name what is missing.").status_code == 202
    work()
    assert again(task).status == "completed"
    (request,) = model_server.received
    assert not request.get("tools")
    assert "Name what is missing." in request["messages"][-1]["content"]
    assert ModelCall.objects.count() == 2
    assert again(task).tool_calls.count() == 1


def test_reject_cancels_the_task_at_once(invoke: Any, work: Any, rita_api: Any) -> None:
    budget(1)
    task, later = invoke(TWO_CALLS), invoke("hello")
    work()
    assert decide(rita_api, task, "reject", message="too expensive").status_code == 202
    assert again(task).status == "cancelled"
    work()
    assert again(later).status == "completed"


def test_a_budget_that_stops_ends_the_task_with_a_clear_message(invoke: Any, work: Any) -> None:
    budget(1, breach="stop")
    task = invoke(TWO_CALLS)
    work()
    found = again(task)
    assert found.status == "error"
    assert (
        "The budget 'small' is used up, so the task was ended. This task has used 1 of 1 model calls." in found.message
    )
    assert not Interrupt.objects.exists()


@pytest.mark.parametrize("graph", ["tool_node", "bare_agent"])
def test_a_graph_that_cannot_ask_ends_with_a_clear_message(invoke: Any, work: Any, settings: Any, graph: str) -> None:
    settings.AGENTS["default"]["GRAPH"] = f"tests.support.odd_graphs.{graph}"
    budget(1)
    task = invoke(TWO_CALLS)
    work()
    assert again(task).status == "error"
    assert "The budget 'small' is used up" in again(task).message
    assert ModelCall.objects.count() == 1


@pytest.mark.parametrize(
    ("scope", "value", "sessions", "tasks"),
    [
        ("everything", "", ("s1", "s2"), ("ann", "bob")),
        ("agent", "default", ("s1", "s2"), ("ann", "bob")),
        ("user", "ann", ("s1", "s2"), ("ann", "ann")),
        ("each_user", "", ("s1", "s2"), ("ann", "ann")),
        ("session", "", ("s1", "s1"), ("ann", "ann")),
        ("session", "s1", ("s1", "s1"), ("ann", "ann")),
    ],
)
@pytest.mark.parametrize("unit", ["model_calls", "tool_calls", "tokens", "money"])
def test_tasks_share_a_budget(
    invoke: Any, work: Any, settings: Any, scope: str, value: str, sessions: Any, tasks: Any, unit: str
) -> None:
    settings.MODEL_PRICES = PRICES
    first = invoke(TWO_CALLS, user=tasks[0], session=sessions[0])
    work()
    made = budget(1, unit, scope=scope, value=value, period="day")
    second = invoke(TWO_CALLS, user=tasks[1], session=sessions[1])
    work()
    assert again(first).status == "completed"
    assert again(second).status == "interrupted"
    (state,) = budgets.states_of(again(second))
    assert state.used == {"model_calls": 2, "tool_calls": 1}.get(unit, state.used)
    assert state.used >= 1
    use = BudgetUse.objects.get(budget=made)
    assert budgets.state_of_use(made, use).used == state.used


@pytest.mark.parametrize(
    ("scope", "value"), [("agent", "other"), ("user", "bob"), ("each_user", ""), ("session", "s9"), ("session", "")]
)
def test_others_do_not_share_it(invoke: Any, work: Any, settings: Any, scope: str, value: str) -> None:
    settings.AGENTS["other"] = settings.AGENTS["default"]
    invoke(TWO_CALLS, user="eve", session="s7")
    work()
    budget(2, scope=scope, value=value, period="month")
    task = invoke(TWO_CALLS)
    work()
    assert again(task).status == "completed"


def test_a_period_begins_with_nothing_used(invoke: Any, work: Any) -> None:
    for days in (1.1, 40):
        call(ago=days)
    budget(2, scope="everything", period="day")
    task = invoke(TWO_CALLS)
    work()
    assert again(task).status == "completed"


@pytest.mark.parametrize(
    ("unit", "fields", "used"),
    [
        ("tokens", {}, 12),
        ("tokens", {"output_tokens": None}, 100),
        ("tokens", {"outcome": "unknown", "input_tokens": None, "output_tokens": None}, 100),
        ("tokens", {"outcome": "failed", "input_tokens": None, "output_tokens": None}, 0),
        ("money", {}, Decimal("0.5")),
        ("money", {"cost": None}, 100),
        ("money", {"outcome": "failed", "cost": None}, 0),
        ("model_calls", {"outcome": "failed"}, 1),
    ],
)
def test_what_is_not_known_counts_as_the_assumption(invoke: Any, unit: str, fields: Any, used: Any) -> None:
    task = invoke("x")
    budget(1000, unit, assumed=100, scope="each_user", period="month")
    call(task, **fields)
    open_call(task=task)
    (state,) = budgets.states_of(task)
    assert state.used == used + (unit == "model_calls")


def test_the_next_call_is_expected_to_cost_as_much_as_the_last(invoke: Any) -> None:
    task = invoke("x")
    budget("0.9", "money", period="task")
    call(task)
    (state,) = budgets.states_of(task)
    assert (state.used, state.expected, state.is_breached) == (Decimal("0.5"), Decimal("0.5"), True)


def test_calls_that_do_not_change_any_more_are_added_up_once(invoke: Any, settings: Any) -> None:
    task = invoke("x")
    made = budget(1000, "tokens", scope="everything", period="month")
    use = BudgetUse(budget=made, period_start=made.period_at(task.created_at))
    use.counted_until = use.period_start
    use.save()
    call(task, ago=0.01)
    call(task)
    late = open_call(task=task)
    for _ in range(3):
        budgets.within(task, [made], lambda: None)
    use.refresh_from_db()
    assert budgets.states_of(task)[0].used == 24
    assert use.counted in (0, 12)  # nothing on the first minutes of a month
    late.refresh_from_db()
    assert use.counted_until <= late.started_at


def test_a_raised_budget_lets_waiting_tasks_go_on(invoke: Any, work: Any) -> None:
    made = budget(1)
    task = invoke(TWO_CALLS)
    work()
    assert sweeper.sweep()["wake_with_room"] == 0
    Budget.objects.filter(pk=made.pk).update(limit=5)
    assert sweeper.sweep()["wake_with_room"] == 1
    work()
    assert again(task).status == "completed"
    asked = Interrupt.objects.get(kind="budget")
    assert (asked.status, asked.answered_by) == ("approved", SYSTEM)


@pytest.mark.parametrize("change", ["disable", "delete"])
def test_without_the_budget_waiting_tasks_go_on(invoke: Any, work: Any, change: str) -> None:
    key = str(budget(1).pk)
    task = invoke(TWO_CALLS)
    work()
    if change == "delete":
        Budget.objects.all().delete()
    else:
        Budget.objects.update(enabled=False)
    assert upkeep.wake_with_room(key) == 1
    work()
    assert again(task).status == "completed"


def test_an_extension_wakes_the_others_that_wait_for_it(invoke: Any, work: Any, rita_api: Any) -> None:
    budget(1, scope="everything", period="day")
    tasks = [invoke(TWO_CALLS, session=f"s{number}") for number in range(3)]
    work()
    assert {again(task).status for task in tasks} == {"interrupted"}
    decide(rita_api, tasks[0], args={"amount": 20})
    work()
    assert {again(task).status for task in tasks} == {"completed"}
    assert BudgetExtension.objects.count() == 1


def test_without_budgets_a_call_makes_no_statement_more(invoke: Any, work: Any, settings: Any) -> None:
    settings.STALENESS_SECONDS = 60
    task = invoke("hello")
    budgets.of(task)
    with CaptureQueriesContext(connection) as made:
        assert budgets.of(task) == []
    assert not made.captured_queries
    process.clear()


def test_with_a_budget_it_makes_two(invoke: Any) -> None:
    task, made = invoke("hello"), budget(5)
    budgets.within(task, [made], lambda: None)
    with CaptureQueriesContext(connection) as found:
        budgets.within(task, [made], lambda: None)
    kinds = [one["sql"].split()[0] for one in found.captured_queries]
    assert kinds.count("SELECT") == 2
    assert set(kinds) <= {"SELECT", "BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"}


def test_past_periods_are_deleted(invoke: Any) -> None:
    task, made = invoke("x"), budget(5, scope="everything", period="day")
    budgets.within(task, [made], lambda: None)
    assert list(upkeep.old_uses()) in ([], [0])
    BudgetUse.objects.update(period_start=task.created_at - timedelta(days=70))
    assert sum(upkeep.old_uses()) == 1


def test_the_status_tells_what_is_left(invoke: Any, work: Any, api: Any, settings: Any) -> None:
    settings.MODEL_PRICES = PRICES
    budget("0.5", "money", assumed="0.1", scope="user", value="ann", period="month")
    task = invoke("hello")
    shown = status_of(api, task)["budgets"]
    about = {"name": "small", "scope": "user", "period": "month", "unit": "money"}
    assert shown == [{**about, "limit": "0.5", "used": "0", "left": "0.5"}]
    work()
    assert "budgets" not in status_of(api, task)
    assert status_of(api, invoke("hello", session="s2"))["budgets"][0]["left"] == "0"


@pytest.mark.parametrize("text", ["What I have is 42.", ""])
def test_a_model_that_asks_for_tools_all_the_same_gets_none(
    invoke: Any, work: Any, rita_api: Any, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    budget(1)
    task = invoke("multiply 6 by 7, then multiply 2 by 3")
    work()
    decide(rita_api, task, "response", args="Sum up.")
    make = replies.completion
    stubborn = replies.Reply(text, (ToolCall("multiply", {"a": 1, "b": 2}),))
    monkeypatch.setattr(replies, "completion", lambda request, reply: make(request, stubborn))
    work()
    assert answer_of(task) == (text or NO_SUMMARY)
    assert again(task).tool_calls.count() == 1
    assert ModelCall.objects.count() == 2


@pytest.mark.parametrize("model", ["odd-empty-once", "fail-500-once"])
def test_the_last_call_is_repeated_like_any_other(
    invoke: Any, work: Any, rita_api: Any, use_model: Any, model: str
) -> None:
    budget(1)
    task = invoke("multiply 6 by 7, then multiply 2 by 3")
    work()
    decide(rita_api, task, "response", args="Sum up.")
    use_model(model)
    work()
    assert again(task).status == "completed"
    assert ModelCall.objects.count() == 3


def test_a_failing_endpoint_uses_up_a_budget_of_calls(
    invoke: Any, work: Any, use_model: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "FIRST_WAIT", 0.01)
    use_model("fail-500")
    budget(3)
    task = invoke("hello")
    work()
    assert again(task).status == "interrupted"
    assert ModelCall.objects.filter(outcome="failed").count() == ModelCall.objects.count() == 3


@pytest.mark.parametrize(("response_type", "asked"), [("accept", 4), ("response", 3)])
def test_a_sub_agent_asks_inside_its_tool(
    invoke: Any, work: Any, rita_api: Any, settings: Any, response_type: str, asked: int
) -> None:
    settings.AGENTS["default"]["GRAPH"] = "tests.support.odd_graphs.own_agent_as_tool"
    task = invoke('call ask_worker with {"text": "multiply 6 by 7"}')
    work()
    resume(rita_api, task)
    budget(1)
    work()
    args: Any = {"amount": 9} if response_type == "accept" else "Sum up."
    decide(rita_api, task, response_type, args=args)
    work()
    assert again(task).status == "completed"
    assert ModelCall.objects.count() == asked
    assert Interrupt.objects.filter(kind="budget").count() == 1
    assert again(task).tool_calls.filter(tool="multiply").count() == (1 if response_type == "accept" else 0)


def test_tasks_of_a_used_up_budget_keep_no_others_waiting(invoke: Any, work: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(upkeep, "AT_ONCE", 1)
    for user in ("ann", "bob"):
        budget(1, name=user, scope="user", value=user, period="month")
    waiting = [invoke(TWO_CALLS, session=f"s{number}", user="ann") for number in range(3)]
    late = invoke(TWO_CALLS, session="late", user="bob")
    work()
    Budget.objects.filter(value="bob").update(limit=9)
    with CaptureQueriesContext(connection) as few:
        assert upkeep.wake_with_room() == 1
    assert len(few) < 20
    assert [again(task).status for task in (*waiting, late)] == ["interrupted"] * 3 + ["pending"]
