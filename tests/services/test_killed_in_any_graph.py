"""A worker process is killed in the middle of a reviewed call, in each kind of graph: the call comes up in doubt."""

import json
from typing import Any

import pytest

from agents.models import Interrupt, Task
from reviews.decisions.services import Choice, decide
from tests.support import graph_settings
from tests.support.helpers import again, answer_of
from tests.support.oracle import calls
from tests.support.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def query_for(graph: str) -> str:
    """What makes this graph pay somebody of the same name, once."""
    pay = f'call pay_and_die with {{"to": "{graph}"}}'
    if graph in ("supervisor", "swarm"):
        return f'call transfer_to_worker with {{}} then call pay_and_die with {{"to": "nobody"}} then {pay}'
    if graph.startswith("deep"):
        return f"call task with {json.dumps({'description': pay, 'subagent_type': 'general-purpose'})}"
    return f"call ask_worker with {json.dumps({'text': pay})}" if graph == "agent_as_tool" else pay


def open_reviews(**where: Any) -> list[Interrupt]:
    return list(Interrupt.objects.filter(status="pending", **where))


def test_a_call_that_was_killed_comes_up_in_doubt_in_every_graph(
    invoke: Any, workers: Any, reviewer: Any, settings: Any
) -> None:
    settings.AGENTS = graph_settings.AGENTS
    workers.start(DJANGO_SETTINGS_MODULE="tests.support.graph_settings", WORKER_POOL="prefork", WORKER_CONCURRENCY="2")
    tasks = {name: invoke(query_for(name), session=name, agent=name) for name in graph_settings.NAMES}

    def approved(count: int) -> bool:
        """Each first question is approved, and so many calls of the tool itself were."""
        for asked in open_reviews(kind="tool_call"):
            decide(asked.pk, reviewer, Choice("accept"))
        return Interrupt.objects.filter(kind="tool_call", tool="pay_and_die", status="approved").count() == count

    until(lambda: approved(len(tasks)))
    until(lambda: len(open_reviews(kind="in_doubt", tool="pay_and_die")) == len(tasks))
    assert sorted(calls()) == sorted(f"pay_and_die {name}" for name in tasks)
    # The outer call of the agent with a gate is in doubt as well, and both are asked at once.
    assert [one.task_id for one in open_reviews(kind="in_doubt", tool="task")] == [tasks["deep_with_gate"].pk]
    for asked in open_reviews(kind="in_doubt"):
        choice = Choice("accept") if asked.tool == "task" else Choice("response", "I have looked: it was paid")
        decide(asked.pk, reviewer, choice)
    until(lambda: Task.objects.filter(status="completed").count() == len(tasks))
    assert all("it was paid" in answer_of(again(task)) for task in tasks.values())
    assert len(calls()) == len(tasks)
