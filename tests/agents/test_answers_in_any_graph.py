"""Odd answers in graphs without our middleware, and system prompts beside those of other middleware."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import SystemMessage

from agents.models import Task, ToolCall
from agents.runtime import registry
from agents.runtime.middleware.model_calls import prompted
from reviews.decisions.services import Choice, decide
from tests.agents.test_odd_answers import CUT, Use
from tests.support.helpers import answer_of, open_review
from tests.support.oracle import calls

pytestmark = pytest.mark.django_db(transaction=True)

WITHOUT = ("tool_node", "bare_agent", "subgraph")


@pytest.fixture
def use_graph(use_model: Use, settings: Any) -> Callable[[str, str], None]:
    """Let the agent be one of `tests.support.odd_graphs`, with this model."""

    def use(graph: str, model: str, **config: Any) -> None:
        settings.AGENTS["default"].update(GRAPH=f"tests.support.odd_graphs.{graph}", **config)
        use_model(model)
        registry.graph.cache_clear()

    return use


@pytest.mark.parametrize("graph", WITHOUT)
@pytest.mark.parametrize(("model", "said"), [("odd-empty", "said nothing"), ("odd-refusal", "refused: I can't")])
def test_an_answer_without_words_is_an_error(use_graph: Any, asked: Any, graph: str, model: str, said: str) -> None:
    use_graph(graph, model)
    task = asked("what did I ask before")
    assert (task.status, said in task.message) == ("error", True), task.message


@pytest.mark.parametrize("graph", WITHOUT)
@pytest.mark.parametrize("name", CUT)
def test_none_of_the_calls_of_a_cut_off_answer_runs(use_graph: Any, asked: Any, graph: str, name: str) -> None:
    use_graph(graph, f"odd-{name}")
    task = asked('call wipe with {"what": "tmp"}')
    assert (calls(), ToolCall.objects.count()) == ([], 0)
    assert (task.status, "cut off" in task.message) == ("error", True)


@pytest.mark.parametrize("graph", WITHOUT)
@pytest.mark.parametrize("name", ["args-list", "args-empty", "type-custom", "id-number", "args-deeper"])
def test_the_model_is_told_of_a_malformed_call_and_the_one_beside_it_runs(
    use_graph: Any, asked: Any, model_server: Any, graph: str, name: str
) -> None:
    use_graph(graph, f"odd-{name}")
    assert "multiply: 6" in answer_of(asked("multiply 6 by 7 and multiply 2 by 3"))
    told = [one["content"] for one in model_server.received[-1]["messages"] if one["role"] == "tool"]
    assert len(told) == 2
    assert any("call" in text.lower() or "arguments" in text for text in told)


@pytest.mark.parametrize("graph", WITHOUT)
def test_so_it_is_after_a_pause(
    use_graph: Any, asked: Any, work: Any, reviewer: Any, model_server: Any, graph: str
) -> None:
    use_graph(graph, "odd-args-list")
    task = asked('multiply 6 by 7 and call charge with {"amount": 3}')
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert "charged 3" in answer_of(task)
    (told, _) = [one["content"] for one in model_server.received[-1]["messages"] if one["role"] == "tool"]
    assert "a list" in told or "malformed" in told  # `create_agent` has words of its own


def test_an_agents_own_prompt_is_kept_and_ours_is_added(use_graph: Any, asked: Any, model_server: Any) -> None:
    use_graph("own_agent", "demo", SYSTEM_PROMPT="Speak of hotels.")
    asked("multiply 6 by 7")
    (system,) = [one for one in model_server.received[-1]["messages"] if one["role"] == "system"]
    assert system["content"] == "Be kind.\n\nSpeak of hotels."


def test_our_prompt_is_added_once() -> None:
    once = prompted(SystemMessage("Be kind."), "Speak of hotels.")
    assert prompted(once, "Speak of hotels.") == once


def test_our_prompt_is_added_where_its_words_only_stand_in_another_one() -> None:
    found = prompted(SystemMessage("Be kind."), "Be")
    assert found is not None
    assert found.text == "Be kind.\n\nBe"


def test_our_prompt_is_added_to_one_in_blocks() -> None:
    block = {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}
    found = prompted(SystemMessage([block]), "Speak of hotels.")
    assert found is not None
    assert (found.content[0], found.text) == (block, "Be kind.\n\nSpeak of hotels.")


def test_without_a_prompt_no_empty_system_message_is_sent(use_graph: Any, asked: Any, model_server: Any) -> None:
    use_graph("own_agent", "demo", SYSTEM_PROMPT="")
    registry.agent.cache_clear()
    asked("multiply 6 by 7")
    systems = [one["content"] for one in model_server.received[-1]["messages"] if one["role"] == "system"]
    assert systems == ["Be kind."]


def test_the_task_ends_well_in_these_graphs_with_an_ordinary_model(use_graph: Any, asked: Any) -> None:
    use_graph("tool_node", "demo")
    task: Task = asked("multiply 6 by 7")
    assert "42" in answer_of(task)
