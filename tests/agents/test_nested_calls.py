"""Calls by hand, in loops, in retried nodes and in one another: each is one call, with one review, and runs once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agents.models import Interrupt, Task, ToolCall
from agents.runtime import registry
from agents.runtime.gate import call_site
from agents.runtime.gate.opening import Refused
from core.text import canonical
from reviews.decisions.services import Choice, decide
from reviews.models import PolicyRule
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import calls, keys

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle")]

THREE, FOUR = 'call charge with {"amount": 3}', 'call charge with {"amount": 4}'
CRASH = 'call charge_and_crash with {"amount": 3}'


def to(tool: str, text: str) -> str:
    return f"call {tool} with {json.dumps({'text': text})}"


@pytest.fixture
def using(settings: Any, changing_tools: None, invoke: Any, work: Any) -> Callable[[str, str], Task]:
    """Let the agent be this graph, and submit a query to it."""

    def use(graph: str, query: str = "do it") -> Task:
        config = settings.AGENTS["default"]
        settings.AGENTS = {
            "default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.nested_tools"], "GRAPH": graph}
        }
        registry.agent.cache_clear()
        registry.graph.cache_clear()
        task = invoke(query)
        work()
        return again(task)

    return use


def approve_all(task: Task, reviewer: Any, work: Any, *, at_most: int = 6) -> int:
    """Approve whatever is asked; how often it was."""
    for number in range(at_most):
        open_ = Interrupt.objects.filter(task=task, status="pending").order_by("created_at").first()
        if open_ is None:
            return number
        decide(open_.pk, reviewer, Choice("accept"))
        work()
    raise AssertionError("it is asked again and again")


TWICE = {  # graph, query, what runs
    "a loop in one node": (
        "tests.support.odd_nodes.node_with_a_loop",
        f"{THREE} then {THREE}",
        ["charge 3", "charge 3"],
    ),
    "a ToolNode by hand": ("tests.support.odd_nodes.tool_node_by_hand", "x", ["charge 3", "charge 3"]),
    "a sub-agent twice": ("tests.support.odd_nodes.sub_agent_twice", THREE, ["charge 3", "charge 3"]),
    "sub-agents of two calls of one node": (
        "tests.support.odd_graphs.tool_node",
        f"{to('delegate', THREE)} and {to('delegate', FOUR)}",
        ["charge 3", "charge 4"],
    ),
    "two calls of one node that call a tool": (
        "tests.support.odd_graphs.tool_node",
        'call relay with {"amount": 3} and call relay with {"amount": 3}',
        ["charge 3", "charge 3"],
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_two_calls_are_two_reviews_and_run_once_each(name: str, using: Any, reviewer: Any, work: Any) -> None:
    graph, query, ran = TWICE[name]
    task = using(graph, query)
    assert approve_all(task, reviewer, work) == 2
    answer = answer_of(task)
    assert sorted(calls()) == ran
    assert len(set(keys())) == 2
    assert all(one.replace("charge ", "charged ") in answer for one in ran)


def test_a_retried_node_goes_on_with_its_sub_agent(using: Any) -> None:
    assert answer_of(using("tests.support.odd_nodes.retried_sub_agent")) == "done"
    assert calls() == ["free_charge 3"]


def test_values_that_are_no_json_are_the_same_call_in_another_process(using: Any) -> None:
    """A set has another order in each process."""
    using("tests.support.odd_nodes.with_sets")
    text = canonical([["tags", canonical([f'"{one}"' for one in "abc"])], ["price", "2"]])
    assert ToolCall.objects.get(tool="free_tagged").tool_call_id == call_site.direct_call_id("free_tagged", text, 1)
    assert calls() == ["free_tagged tags=['a', 'b', 'c'] price=2"]


@pytest.mark.parametrize("graph", ["swallowing", "with_a_thread_of_its_own"])
def test_a_graph_that_goes_on_without_the_answer_is_an_error(graph: str, using: Any) -> None:
    task = using(f"tests.support.odd_nodes.{graph}", to("ask_worker", THREE))
    assert task.status == "error"
    assert "waits for a person, but the graph went on without it" in task.message
    assert calls() == []


def test_a_sub_agent_that_can_not_pause_is_named(using: Any) -> None:
    assert "checkpointer=False" in using("tests.support.odd_nodes.without_checkpointer", THREE).message
    assert calls() == []


def test_an_argument_that_langchain_keeps_for_itself_is_refused_before_anybody_is_asked(using: Any) -> None:
    task = using("tests.support.odd_graphs.bare_agent", 'call configured with {"amount": 3, "config": "test"}')
    assert "would change the argument config" in answer_of(task)
    assert (calls(), Interrupt.objects.count()) == ([], 0)


def test_what_the_model_was_not_offered_it_can_not_fill_in(using: Any, reviewer: Any, work: Any) -> None:
    approve_all(using("tests.support.odd_nodes.with_what_the_model_wrote"), reviewer, work)
    assert calls() == ["on_behalf 3 nobody"]


def test_whatever_a_schema_raises_is_the_calls_own_error(using: Any) -> None:
    task = using("tests.support.odd_graphs.bare_agent", 'call inverse with {"amount": 0}')
    assert "do not fit inverse: float division by zero" in answer_of(task)


@pytest.mark.parametrize("name", ["only_async", "around"])
def test_a_class_of_its_own_runs_and_refuses_by_its_methods(name: str, using: Any, reviewer: Any, work: Any) -> None:
    task = using("tests.support.odd_graphs.bare_agent", f'call {name} with {{"amount": 3}}')
    tool = registry.agent("default").tool(name)
    with pytest.raises(Refused):
        tool._run(amount=3, config={})  # type: ignore[union-attr]
    assert approve_all(task, reviewer, work) == 1
    assert calls() == [f"{name} 3"]


CHOICES = {
    "accept": Choice("accept"),
    "response": Choice("response", "I have looked"),
    "reject": Choice("reject", message="I don't know"),
}


@pytest.mark.parametrize("first", ["delegate_reviewed", "charge_and_crash"])
@pytest.mark.parametrize("outer", ["accept", "response", "reject"])
@pytest.mark.parametrize("inner", ["accept", "response", "reject"])
def test_two_calls_in_doubt_can_be_decided_in_any_order(
    first: str, outer: str, inner: str, using: Any, reviewer: Any, work: Any, crash: Any
) -> None:
    task = using("tests.support.odd_graphs.bare_agent", to("delegate_reviewed", CRASH))
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    crash()
    work()
    said = {"delegate_reviewed": outer, "charge_and_crash": inner}
    for tool in sorted(said, key=lambda name: name != first):
        asked = Interrupt.objects.filter(task=task, status="pending", kind="in_doubt", tool=tool).first()
        if asked is not None:
            decide(asked.pk, reviewer, CHOICES[said[tool]])
            work()
    answer_of(task)
    assert not Interrupt.objects.filter(task=task, status="pending").exists()
    again_ = outer == inner == "accept"
    assert calls() == ["charge_and_crash 3"] * (2 if again_ else 1)
    status = {"accept": "succeeded" if again_ else "failed", "response": "succeeded", "reject": "failed"}
    assert ToolCall.objects.get(tool="charge_and_crash").status == status[inner]


def test_a_use_of_a_rule_is_counted_once_for_a_call_that_waits_for_one_inside_it(
    using: Any, reviewer: Any, work: Any
) -> None:
    rule = PolicyRule.objects.create(name="once", effect="allow", tool="delegate_reviewed", use_limit=1)
    task = using("tests.support.odd_graphs.bare_agent", to("delegate_reviewed", THREE))
    assert open_review(task).tool == "charge"
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert "charged 3" in answer_of(task)
    assert PolicyRule.objects.get(pk=rule.pk).uses == 1
