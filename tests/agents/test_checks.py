"""Misconfiguration fails at `manage.py check`, with an id and a hint."""

from typing import Any

import pytest

from agents import checks
from agents.runtime import registry


def ids(found: Any) -> list[str]:
    return [str(one.id) for one in found]


def test_the_defaults_are_sound() -> None:
    assert checks.timing() == []
    assert checks.agents() == []


def test_a_lease_of_two_heartbeats_is_too_short(settings: Any) -> None:
    settings.TASK_LEASE_SECONDS = 20.0
    found = checks.timing()
    assert ids(found) == ["agents.E001"]
    assert found[0].hint


def test_an_interval_of_nothing_is_refused(settings: Any) -> None:
    settings.TASK_SWEEP_SECONDS = 0
    assert ids(checks.timing()) == ["agents.E002"]


@pytest.mark.parametrize("key", ["GRAPH", "POLICY", "MEMORY"])
def test_a_path_that_can_not_be_imported_is_named(settings: Any, key: str) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], key: "no.such.thing"}}
    registry.agent.cache_clear()
    found = checks.agents()
    assert ids(found) == ["agents.E004"]
    assert "no.such.thing" in str(found[0].msg)


def test_a_missing_key_is_named(settings: Any) -> None:
    settings.AGENTS = {"default": {"GRAPH": "agents.runtime.graphs.react.build"}}
    assert "MODEL, POLICY, MEMORY" in str(checks.agents()[0].msg)


def test_there_has_to_be_a_default(settings: Any) -> None:
    settings.AGENTS = {}
    assert ids(checks.agents()) == ["agents.E005"]


def checked(settings: Any, graph: str) -> Any:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "GRAPH": f"tests.support.odd_graphs.{graph}"}}
    registry.agent.cache_clear()
    registry.graph.cache_clear()
    return checks.agents()


def test_a_graph_that_can_not_be_built_is_named(settings: Any) -> None:
    found = checked(settings, "broken")
    assert ids(found) == ["agents.E004"]
    assert "a node that is missing" in str(found[0].msg)


@pytest.mark.parametrize("graph", ["own_agent", "tool_node", "subgraph", "with_its_own_tool_and_gate"])
def test_a_graph_whose_tools_are_all_guarded_is_sound(settings: Any, graph: str) -> None:
    assert checked(settings, graph) == []


@pytest.mark.parametrize(("graph", "name"), [("with_its_own_tool", "unguarded"), ("deep", "write_file")])
def test_tools_that_nobody_reviews_are_named(settings: Any, graph: str, name: str) -> None:
    found = checked(settings, graph)
    assert ids(found) == ["agents.W001"]
    assert name in str(found[0].msg)
    assert "charge" not in str(found[0].msg)


def test_with_the_gate_a_deep_agents_own_tools_are_guarded(settings: Any) -> None:
    assert checked(settings, "deep_with_gate") == []


@pytest.mark.parametrize("name", ["GRAPH_RECURSION_LIMIT", "TASK_MAX_REFUSALS", "ANSWER_MAX_CALLS"])
def test_a_bound_of_nothing_is_refused(settings: Any, name: str) -> None:
    assert checks.bounds() == []
    setattr(settings, name, 0)
    assert ids(checks.bounds()) == ["agents.E008"]


def test_a_model_without_time_is_refused(settings: Any) -> None:
    settings.MODEL_TIMEOUT_SECONDS = 0
    assert ids(checks.bounds()) == ["agents.E009"]


@pytest.mark.parametrize("name", ["CONVERSATION_TOKENS", "TASK_TOKENS"])
def test_a_budget_that_holds_nothing_is_refused(settings: Any, name: str) -> None:
    setattr(settings, name, 0)
    assert ids(checks.budgets()) == ["agents.E010"]
