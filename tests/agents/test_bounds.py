"""Bounds on what a model may ask for, however odd it is: calls in one answer, refused repeats, steps of a task."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as project
from langchain_core.tools import ToolException, tool

from agents.models import ToolCall
from agents.policy import Declaration, Verdict, declare
from agents.runtime import registry
from reviews.decisions.services import Choice, decide
from tests.support.endpoint import Endpoint, completion, says
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import calls, trace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle")]

HERE = __name__
CHARGE = 'call charge with {"amount": 3}'


@declare(Declaration(review=None))
@tool
def fails(what: str) -> str:
    """Free, and fails each time."""
    trace(f"fails {what}")
    raise ToolException("not now")


@pytest.fixture(autouse=True)
def _tools(settings: Any, oracle: None) -> None:
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], f"{HERE}.fails"]}}
    registry.agent.cache_clear()
    registry.graph.cache_clear()


def many(count: int) -> Any:
    return completion(None, *[("free_charge", {"amount": n}) for n in range(count)])


@pytest.fixture
def served(settings: Any) -> Iterator[Any]:
    """Let the model give these answers."""
    opened: list[Endpoint] = []

    def serve(*bodies: Any) -> Endpoint:
        opened.append(Endpoint(*map(says, bodies)))
        settings.OPENAI_BASE_URL = f"{opened[-1].url}/v1"
        registry.agent.cache_clear()
        registry.graph.cache_clear()
        return opened[-1]

    yield serve
    for one in opened:
        one.__exit__()


def test_an_answer_with_too_many_calls_runs_none_and_is_told(served: Any, invoke: Any, work: Any) -> None:
    server = served(many(51), completion("Sorry."))
    task = invoke("go")
    work()
    assert answer_of(task) == "Sorry."
    assert calls() == []
    told = server.requests[1]["messages"][-1]["content"]
    assert "51 tool calls" in told
    assert "at most 50" in told


def test_too_many_calls_once_more_end_the_task(served: Any, invoke: Any, work: Any) -> None:
    server = served(many(60))
    task = invoke("go")
    work()
    assert again(task).status == "error"
    assert "60 tool calls" in again(task).message
    assert (len(server.requests), calls(), ToolCall.objects.count()) == (2, [], 0)


def test_as_many_calls_as_are_allowed_all_run(served: Any, invoke: Any, work: Any) -> None:
    served(many(50), completion("All done."))
    task = invoke("go")
    work()
    assert answer_of(task) == "All done."
    assert len(calls()) == 50


def test_the_bound_is_a_setting(served: Any, invoke: Any, work: Any, settings: Any) -> None:
    settings.ANSWER_MAX_CALLS = 2
    served(many(3))
    task = invoke("go")
    work()
    assert "at most 2" in again(task).message


@pytest.mark.parametrize("graph", ["bare_agent", "tool_node", "subgraph"])
def test_a_graph_without_the_middleware_runs_none_of_too_many_calls(
    served: Any, invoke: Any, work: Any, settings: Any, graph: str
) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "GRAPH": f"tests.support.odd_graphs.{graph}"}}
    server = served(many(51), completion("Sorry."))
    task = invoke("go")
    work()
    assert answer_of(task) == "Sorry."
    assert calls() == []
    assert "51 tool calls" in server.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize("graph", ["bare_agent", "tool_node", "agent_as_tool"])
def test_a_graph_without_the_middleware_asks_people_no_more_often(
    invoke: Any, work: Any, reviewer: Any, settings: Any, graph: str
) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "GRAPH": f"tests.support.odd_graphs.{graph}"}}
    call = CHARGE if graph != "agent_as_tool" else 'call ask_worker with {"text": "call charge with {\\"amount\\": 3}"}'
    task = invoke(" then ".join([call] * 9))
    assert rejected(task, work, reviewer) == 3
    assert "requested charge again" in again(task).message


def rejected(task: Any, work: Any, reviewer: Any) -> int:
    """How often the task asked until it ended, each time rejected."""
    for count in range(20):
        work()
        if again(task).status != "interrupted":
            return count
        decide(open_review(task).pk, reviewer, Choice("reject", message="no"))
    raise AssertionError("it never ends")


def test_a_call_that_people_reject_each_time_ends_the_task(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke(" then ".join([CHARGE] * 9))
    assert rejected(task, work, reviewer) == 3
    assert again(task).status == "error"
    assert "requested charge again" in again(task).message
    assert "refused 3 times" in again(task).message
    assert calls() == []


def test_the_bound_of_refusals_is_a_setting(invoke: Any, work: Any, reviewer: Any, settings: Any) -> None:
    settings.TASK_MAX_REFUSALS = 5
    assert rejected(invoke(" then ".join([CHARGE] * 9)), work, reviewer) == 5


def test_other_arguments_are_another_call(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke(" then ".join(f'call charge with {{"amount": {n}}}' for n in range(5)))
    assert rejected(task, work, reviewer) == 5
    answer_of(task)


def test_a_new_task_may_ask_again(invoke: Any, work: Any, reviewer: Any) -> None:
    for name in ("a", "b"):
        task = invoke(" then ".join([CHARGE] * 3), task=name)
        assert rejected(task, work, reviewer) == 3
        answer_of(task)


def deny(call: Any) -> Verdict:
    """Nothing is allowed."""
    return Verdict("deny", "closed", reason="closed today")


def test_what_the_policy_denies_each_time_ends_the_task(invoke: Any, work: Any, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": f"{HERE}.deny"}}
    task = invoke(" then ".join([CHARGE] * 9))
    work()
    assert "requested charge again" in again(task).message


@pytest.mark.parametrize("call", ['call charge with {"amount": "x"}', 'call charge with {"amount": NaN}'])
def test_arguments_that_never_fit_end_the_task(invoke: Any, work: Any, call: str) -> None:
    task = invoke(" then ".join([call] * 9))
    work()
    assert "requested charge again" in again(task).message


def test_a_call_that_ran_and_failed_may_be_tried_again(invoke: Any, work: Any) -> None:
    task = invoke(" then ".join(['call fails with {"what": "a"}'] * 6))
    work()
    answer_of(task)
    assert calls() == ["fails a"] * 6


def approved(task: Any, work: Any, reviewer: Any) -> int:
    """How often the task asked until it ended, each time approved."""
    for count in range(60):
        work()
        if again(task).status != "interrupted":
            return count
        decide(open_review(task).pk, reviewer, Choice("accept"))
    raise AssertionError("it never ends")


def test_the_step_limit_counts_the_task_over_its_pauses(invoke: Any, work: Any, reviewer: Any, settings: Any) -> None:
    settings.GRAPH_RECURSION_LIMIT = 10
    free = 'call free_charge with {"amount": 3}'
    unpaused = invoke(" then ".join([free] * 30), session="a")
    work()
    assert "10 steps" in again(unpaused).message
    steps = len(calls())
    paused = invoke(" then ".join([CHARGE] * 30), session="b")
    assert steps <= approved(paused, work, reviewer) <= steps + 1
    assert "10 steps" in again(paused).message


def test_a_task_within_its_steps_ends_well_however_often_it_pauses(
    invoke: Any, work: Any, reviewer: Any, settings: Any
) -> None:
    settings.GRAPH_RECURSION_LIMIT = 12
    task = invoke(" then ".join([CHARGE] * 5))
    assert approved(task, work, reviewer) == 5
    answer_of(task)


def test_the_defaults_fit_ordinary_work() -> None:
    assert (project.ANSWER_MAX_CALLS, project.TASK_MAX_REFUSALS, project.GRAPH_RECURSION_LIMIT) == (50, 3, 50)
