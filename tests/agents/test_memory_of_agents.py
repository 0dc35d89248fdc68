"""An agent is told what its own strategy recalls, before a task and by its tool `search_memory`."""

from typing import Any

import pytest

from agents import broker
from agents.models import Task
from agents.runtime import registry
from agents.worker import jobs
from memory import services as memories
from memory.models import Memory
from memory.strategies import Default, made_for
from tests.support.helpers import again, answer_of, noting
from tests.support.own_memory import Named, Notebook

pytestmark = pytest.mark.django_db(transaction=True)

SEARCH = "search memory for tea"
KNOWN = "what do you know about me"


@pytest.fixture
def agents(settings: Any) -> Any:
    """Add agents with these strategies beside the default one."""

    def add(**strategies: str) -> None:
        own = settings.AGENTS["default"]
        settings.AGENTS = {"default": own, **{name: {**own, "MEMORY": path} for name, path in strategies.items()}}
        registry.agent.cache_clear()
        registry.graph.cache_clear()

    return add


def keep(text: str, scope: str, ref: str = "") -> None:
    memories.add("ann", text, source=Memory.Source.ADMIN, scope=Memory.Scope(scope), scope_ref=ref, trusted=True)


@pytest.mark.parametrize("query", [SEARCH, KNOWN])
def test_memories_of_the_agent_are_recalled(invoke: Any, work: Any, agents: Any, query: str) -> None:
    agents(sales="memory.strategies.Default")
    keep("likes tea", "user")
    keep("buys tea by the pound", "agent", "sales")
    keep("complained about tea", "agent", "default")
    keep("drinks tea tonight", "session", "s1")
    task = invoke(query, agent="sales")
    work()
    told = answer_of(task)
    assert all(text in told for text in ("likes tea", "buys tea by the pound", "drinks tea tonight"))
    assert "complained" not in told


def test_those_of_the_default_agent_too(invoke: Any, work: Any) -> None:
    keep("likes tea", "agent", "default")
    task = invoke("hello")
    work()
    assert [fact["text"] for fact in again(task).recalled or []] == ["likes tea"]


def test_search_memory_asks_the_agents_own_strategy(invoke: Any, work: Any, agents: Any) -> None:
    agents(own="tests.support.own_memory.Notebook")
    keep("likes tea", "user")
    task = invoke(SEARCH, agent="own")
    work()
    assert "ann asked the notebook about tea" in answer_of(task)
    assert "likes tea" not in answer_of(task)


def test_a_strategy_that_asks_for_its_agent_is_told(invoke: Any, work: Any, agents: Any) -> None:
    agents(own="tests.support.own_memory.Named")
    task = invoke(SEARCH, agent="own")
    work()
    assert "this is own's notebook" in answer_of(task)


def test_each_agent_has_a_strategy_of_its_own(agents: Any) -> None:
    agents(one="tests.support.own_memory.Named", two="tests.support.own_memory.Named")
    assert [registry.agent(name).memory.agent for name in ("one", "two")] == ["one", "two"]  # type: ignore[attr-defined]


def test_a_strategy_is_made_with_what_it_takes() -> None:
    made = made_for("sales", Default)
    assert isinstance(made, Default)
    assert made.agent == "sales"
    assert isinstance(made_for("sales", Notebook), Notebook)
    assert made_for("sales", Named).agent == "sales"  # type: ignore[attr-defined]
    assert made_for("sales", lambda: Default("x")).agent == "x"  # type: ignore[attr-defined]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tasks whose strategy is to be called, by the jobs that were published for it."""
    found: list[Any] = []
    monkeypatch.setattr(broker, "remember_later", noting(found))
    return found


def test_a_strategy_looks_at_a_completed_task_in_a_job_of_its_own(
    invoke: Any, work: Any, agents: Any, later: list[Any]
) -> None:
    agents(own="tests.support.own_memory.Diary")
    task = invoke("multiply 6 by 7", agent="own")
    work()
    assert later == [task.pk]
    assert not Memory.objects.exists(), "the task has completed without waiting for it"
    jobs.remember(str(task.pk))
    assert Memory.objects.get().text == "asked: multiply 6 by 7"


def test_a_strategy_that_fails_there_harms_nothing(
    invoke: Any, work: Any, agents: Any, later: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    agents(own="tests.support.own_memory.Diary")
    task = invoke("multiply 6 by 7 in secret", agent="own")
    work()
    before = again(task)
    jobs.remember(str(task.pk))
    assert "its memory strategy failed" in caplog.text
    assert (again(task).status, again(task).result) == ("completed", before.result)


@pytest.mark.parametrize(
    ("model", "status"), [("openai:demo", "interrupted"), ("openai:fail-400", "error")], ids=["interrupted", "failed"]
)
def test_of_a_task_that_has_not_completed_nothing_is_remembered(
    invoke: Any, work: Any, agents: Any, later: list[Any], settings: Any, model: str, status: str
) -> None:
    agents(own="tests.support.own_memory.Diary")
    settings.AGENTS["own"]["MODEL"] = model
    task = invoke("book the Ritz for 2 nights", agent="own")
    work()
    assert again(task).status == status
    assert later == []
    Task.objects.update(status="cancelled")
    jobs.remember(str(task.pk))
    jobs.remember("00000000-0000-0000-0000-000000000000")
    assert not Memory.objects.exists()


def test_a_strategy_that_keeps_nothing_has_no_job(invoke: Any, work: Any, later: list[Any]) -> None:
    invoke("multiply 6 by 7")
    work()
    assert later == []
