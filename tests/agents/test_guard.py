"""The guard belongs to the tool: in no graph does a tool that needs a review run without one, or twice."""

from collections.abc import Callable
from typing import Any

import pytest

from agents.models import Interrupt, Task, ToolCall
from agents.runtime import registry
from reviews import pauses
from reviews.decisions.services import Choice, decide
from reviews.models import AuditEntry
from tests.support import oracle
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import calls, keys

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle")]

CHARGE = 'call charge with {"amount": 3}'
HANDED_OVER = f'call transfer_to_worker with {{}} then call charge with {{"amount": 1}} then {CHARGE}'
GRAPHS = {  # what makes each of them call `charge` once
    "tool_node": CHARGE,
    "bare_agent": CHARGE,
    "own_agent": CHARGE,
    "subgraph": CHARGE,
    "supervisor": HANDED_OVER,
    "swarm": HANDED_OVER,
    "deep": 'call task with {"description": "call charge with {\\"amount\\": 3}", "subagent_type": "general-purpose"}',
    "agent_as_tool": 'call ask_worker with {"text": "call charge with {\\"amount\\": 3}"}',
}
TWICE = {
    "bare_agent": f"{CHARGE} and {CHARGE}",
    "tool_node": f"{CHARGE} then {CHARGE}",
    "deep": f"{GRAPHS['deep']} and {GRAPHS['deep']}",
}


@pytest.fixture
def using(settings: Any, invoke: Any, work: Any) -> Callable[[str, str], Task]:
    """Let the agent be one of `tests.support.odd_graphs`, and submit a query to it."""

    def use(graph: str, query: str) -> Task:
        config = settings.AGENTS["default"]
        settings.AGENTS = {"default": {**config, "GRAPH": f"tests.support.odd_graphs.{graph}"}}
        registry.agent.cache_clear()
        registry.graph.cache_clear()
        task = invoke(query)
        work()
        return again(task)

    return use


def approve_all(task: Task, reviewer: Any, work: Any) -> None:
    while open_ := Interrupt.objects.filter(task=task, status="pending").order_by("created_at").first():
        decide(open_.pk, reviewer, Choice("accept"))
        work()


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_reviewed_tool_waits_for_its_review_and_runs_once(graph: str, using: Any, reviewer: Any, work: Any) -> None:
    task = using(graph, GRAPHS[graph])
    assert calls() == []
    asked = open_review(task)
    assert (asked.tool, asked.kind, asked.args) == ("charge", "tool_call", {"amount": 3.0})
    decide(asked.pk, reviewer, Choice("accept"))
    work()
    assert "charged 3" in answer_of(task)
    assert calls() == ["charge 3"]
    assert keys() == [str(ToolCall.objects.get(tool="charge").pk)]


@pytest.mark.parametrize("scope", ["tool", "everything"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_an_approved_tool_that_is_paused_waits_and_runs_once(
    graph: str, scope: str, using: Any, reviewer: Any, work: Any
) -> None:
    task = using(graph, GRAPHS[graph])
    pause, _ = pauses.pause(scope, "charge" if scope == "tool" else "", "an incident", pauses.Actor("rita"))
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert (again(task).status, calls()) == ("pending", [])
    assert not ToolCall.objects.filter(tool="charge").exists()
    pauses.resume(pause.pk, pauses.Actor("rita"))
    work()
    assert "charged 3" in answer_of(task)
    assert calls() == ["charge 3"]
    assert Interrupt.objects.count() == 1


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_rejected_tool_does_not_run(graph: str, using: Any, reviewer: Any, work: Any) -> None:
    task = using(graph, GRAPHS[graph])
    decide(open_review(task).pk, reviewer, Choice("reject", message="too dear"))
    work()
    assert "too dear" in answer_of(task)
    assert calls() == []


@pytest.mark.parametrize("graph", TWICE)
def test_two_calls_have_a_review_and_a_key_each(graph: str, using: Any, reviewer: Any, work: Any) -> None:
    task = using(graph, TWICE[graph])
    approve_all(task, reviewer, work)
    answer_of(task)
    assert calls() == ["charge 3"] * 2
    assert len(set(keys())) == 2


def test_messages_and_calls_of_the_same_ids_are_two_calls(
    using: Any, reviewer: Any, work: Any, model_server: Any, monkeypatch: Any
) -> None:
    """As some servers answer: every message and every call has the same id."""
    monkeypatch.setattr("demo.model_server.replies._token", lambda: "same")
    task = using("tool_node", TWICE["tool_node"])
    approve_all(task, reviewer, work)
    assert len(set(keys())) == len(calls()) == 2


def test_after_only_the_outer_call_was_approved_the_inner_one_waits(using: Any, reviewer: Any, work: Any) -> None:
    task = using("deep_with_gate", GRAPHS["deep"])
    assert open_review(task).tool == "task"
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert (open_review(task).tool, calls()) == ("charge", [])
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    answer_of(task)
    assert calls() == ["charge 3"]
    outer, inner = ToolCall.objects.get(tool="task"), ToolCall.objects.get(tool="charge")
    assert (inner.outer, outer.outer, outer.status) == (outer.pk, None, "succeeded")


def test_a_node_that_calls_a_tool_twice_and_is_retried_runs_it_twice(using: Any, reviewer: Any, work: Any) -> None:
    task = using("workflow", "pay")
    approve_all(task, reviewer, work)
    assert "['charged 3', 'charged 3']" in answer_of(task)
    assert calls() == ["charge 3"] * 2
    assert Interrupt.objects.count() == 2


def test_by_its_bare_function_a_tool_refuses(using: Any, caplog: Any) -> None:
    task = using("by_its_function", "pay")
    assert "Refused: charge was not run: the call bypassed its review" in answer_of(task)
    assert calls() == []
    assert "charge was not run" in caplog.text
    entry = AuditEntry.objects.get(verb="denied")
    assert (entry.tool, entry.task) == ("charge", task.pk)


@pytest.mark.parametrize("way", ["invoke", "run", "func", "_run"])
def test_outside_of_a_task_a_tool_refuses(way: str, db: Any) -> None:
    charge = registry.agent("default").tool("charge")
    call = getattr(charge, way)
    with pytest.raises(Exception, match="bypassed its review"):
        call({"amount": 3}) if way in ("invoke", "run") else call(amount=3, **({"config": {}} if way == "_run" else {}))
    assert calls() == []


def test_the_original_of_a_tool_is_left_as_it_is() -> None:
    registry.agent("default")
    assert type(oracle.charge).__name__ == "StructuredTool"


def test_a_tool_that_a_graph_gives_another_name_is_guarded_under_it(using: Any, reviewer: Any, work: Any) -> None:
    task = using("renamed", 'call pay with {"amount": 3}')
    assert (open_review(task).tool, calls()) == ("pay", [])
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert calls() == ["charge 3"]


@pytest.mark.parametrize("graph", ["tool_node", "agent_as_tool"])
def test_a_run_that_is_over_is_not_kept_going_by_a_node_that_swallows_errors(
    graph: str, using: Any, reviewer: Any, work: Any, monkeypatch: Any
) -> None:
    task = using(graph, GRAPHS[graph])
    decide(open_review(task).pk, reviewer, Choice("accept"))
    Interrupt.objects.update(args_text='{"amount":4.0}')  # somebody has altered it behind our back
    work()
    assert again(task).status == "error"
    assert "altered afterwards" in again(task).message
    assert calls() == []


@pytest.mark.parametrize("graph", ["tool_node", "bare_agent", "deep"])
def test_control_without_the_guard_a_tool_runs_unseen(graph: str, using: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(registry, "guarded", lambda tool: tool)
    using(graph, GRAPHS[graph])
    assert (calls(), Interrupt.objects.count(), ToolCall.objects.filter(tool="charge").count()) == (["charge 3"], 0, 0)
