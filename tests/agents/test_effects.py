"""What a task's calls have done stays known in its session, however the task ended."""

from typing import Any

import pytest

from agents import services
from agents.models import Attempt, Task, ToolCall
from agents.runtime import registry
from agents.runtime.history import conversation, effects
from agents.state import tasks, tool_calls
from demo.model_server.misbehaviours import Misbehaviours
from tests.support.accounts import client_of, pages_of
from tests.support.helpers import again, answer_of, open_review, path_of, resume
from tests.support.oracle import calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle", "no_checkpoints")]

CHARGE = 'call free_charge with {"amount": 50}'
SESSION = "/agent/session/ann/s1"


@pytest.fixture
def asked(monkeypatch: Any) -> list[dict[str, Any]]:
    """The requests that the model's server has received."""
    received: list[dict[str, Any]] = []
    own = Misbehaviours.of

    def of(self: Misbehaviours, request: dict[str, Any]) -> Any:
        received.append(request)
        return own(self, request)

    monkeypatch.setattr(Misbehaviours, "of", of)
    return received


@pytest.fixture
def model(settings: Any) -> Any:
    """Let the agent use this model from now on."""

    def use(name: str) -> None:
        settings.AGENTS = {"default": {**settings.AGENTS["default"], "MODEL": f"openai:{name}"}}
        settings.MODEL_RETRY_SECONDS = 1.0
        registry.agent.cache_clear()
        registry.graph.cache_clear()

    return use


@pytest.fixture
def failing(model: Any, monkeypatch: Any) -> None:
    """The endpoint refuses each request that follows a call."""
    own = Misbehaviours.of

    def of(self: Misbehaviours, request: dict[str, Any]) -> Any:
        if request["messages"][-1]["role"] == "tool":
            request = {**request, "model": "fail-400"}
        return own(self, request)

    monkeypatch.setattr(Misbehaviours, "of", of)


def told(requests: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """What the last request says, without its system prompt: role, and text or calls."""
    messages = requests[-1]["messages"][1:]
    return [(one["role"], one.get("content") or one.get("tool_calls")) for one in messages]


def ended_call(task: Task, status: str = "succeeded", **more: Any) -> ToolCall:
    """A call of this task in the ledger."""
    fields = {"message_id": "m", "tool_call_id": "c", "tool": "pay", "args_text": '{"amount": 5}', "args_digest": "d"}
    result = "" if status == "started" else '{"content": "paid 5", "status": "success"}'
    return ToolCall.objects.create(task=task, status=status, result_text=result, **{**fields, **more})


def ended_task(invoke: Any, status: str = "error", **more: Any) -> Task:
    task = invoke("pay 5 to bob")
    Task.objects.filter(pk=task.pk).update(status=status, **more)
    return again(task)


def test_a_transfer_that_ran_before_the_model_failed_is_known_to_the_next_task(
    invoke: Any, work: Any, failing: None, asked: Any
) -> None:
    first = invoke(CHARGE)
    work()
    assert again(first).status == "error"
    assert calls() == ["free_charge 50"]
    second = invoke("try again")
    work()
    assert again(second).status == "completed"
    human, call, result, ended, question = told(asked)
    assert human == ("user", CHARGE)
    assert call[1][0]["function"] == {"name": "free_charge", "arguments": '{"amount": 50.0}'}
    assert result == ("tool", "charged 50")
    assert ended[0] == "assistant"
    assert "ended with an error" in ended[1]
    assert question == ("user", "try again")


def test_so_it_is_to_the_task_that_was_queued_behind_it(invoke: Any, work: Any, failing: None, asked: Any) -> None:
    invoke(CHARGE)
    queued = invoke("try again")
    assert again(queued).status == "queued"
    work()
    assert ("tool", "charged 50") in told(asked)


def test_a_call_of_a_cancelled_task_is_known(api: Any, invoke: Any, work: Any, asked: Any) -> None:
    first = invoke(f"{CHARGE} then book the Ritz for 2 nights")
    work()
    services.cancel(again(first))
    invoke("try again")
    work()
    assert ("tool", "charged 50") in told(asked)
    assert "was cancelled" in told(asked)[-2][1]


def test_an_approved_call_with_changed_arguments_is_known_as_it_ran(
    api: Any, invoke: Any, work: Any, reviewer: Any, failing: None, asked: Any
) -> None:
    first = invoke('call charge with {"amount": 3}')
    work()
    decision = {"response_type": "edit", "args": {"amount": 4}, "version": 1}
    assert client_of(reviewer).post(f"/reviews/{open_review(first).pk}/decide", decision).status_code == 200
    work()
    invoke("try again")
    work()
    assert '{"amount": 4' in str(told(asked))
    assert ("tool", "charged 4") in told(asked)


@pytest.mark.parametrize("end", ["overrun", "poison"])
def test_however_the_task_ended(invoke: Any, work: Any, asked: Any, settings: Any, end: str) -> None:
    attempt = tasks.claim(invoke("pay 5 to bob").pk, "w")
    assert attempt is not None
    ended_call(attempt.task)
    if end == "overrun":
        tasks.overrun(attempt)
    else:
        settings.TASK_MAX_LAPSES = 1
        Attempt.objects.update(lease_until="2020-01-01T00:00:00Z")
        tasks.lapse(attempt, "")
    assert again(attempt.task).status == "error"
    invoke("try again")
    work()
    assert ("tool", "paid 5") in told(asked)


def test_a_call_whose_outcome_is_not_known_is_told_as_such(invoke: Any, work: Any, asked: Any) -> None:
    ended_call(ended_task(invoke, "cancelled"), "started")
    invoke("try again")
    work()
    assert ("tool", effects.UNKNOWN) in told(asked)


def test_a_call_that_ends_after_its_task_is_known_with_its_result(invoke: Any, work: Any, asked: Any) -> None:
    attempt = tasks.claim(invoke("pay 5 to bob").pk, "w")
    assert attempt is not None
    row = tool_calls.enter(attempt, tool_calls.Entry("m", "c", "pay", '{"amount": 5}', "d"))
    services.cancel(again(attempt.task))
    assert tool_calls.close(row, "succeeded", '{"content": "paid 5"}')
    invoke("try again")
    work()
    assert ("tool", "paid 5") in told(asked)


def test_parallel_calls_come_as_one_message_and_each_has_its_result(invoke: Any, work: Any, asked: Any) -> None:
    task = ended_task(invoke)
    for place in ("m1", "m2"):
        for call in ("c1", "c2"):
            ended_call(task, message_id=place, tool_call_id=call)
    invoke("try again")
    work()
    roles = [role for role, _ in told(asked)]
    assert roles == ["user", *["assistant", "tool", "tool"] * 2, "assistant", "user"]


def test_a_call_that_a_completed_tasks_messages_do_not_hold_is_added(invoke: Any, work: Any, asked: Any) -> None:
    """A sub-agent's: the outer agent's messages have its answer only."""
    first = invoke("multiply 6 by 7")
    work()
    ended_call(first)
    invoke("what did you do")
    work()
    roles = [role for role, _ in told(asked)]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    assert told(asked)[4] == ("tool", "paid 5")


@pytest.mark.parametrize("graph", ["bare_agent", "tool_node", "subgraph"])
def test_a_graph_that_does_not_name_the_message_has_each_call_once(
    invoke: Any, work: Any, api: Any, settings: Any, graph: str
) -> None:
    settings.AGENTS["default"]["GRAPH"] = f"tests.support.odd_graphs.{graph}"
    registry.graph.cache_clear()
    registry.agent.cache_clear()
    task = invoke(CHARGE)
    work()
    assert answer_of(task)
    row = ToolCall.objects.get()
    assert [one["type"] for one in api.get(SESSION).json()["messages"]] == ["human", "ai", "tool", "ai"]
    ended_call(task, message_id="node:later", tool_call_id=row.tool_call_id, tool="free_charge")  # the id recurs
    ended_call(task, message_id="node:other", tool_call_id=row.tool_call_id)
    contents = [one["content"] for one in api.get(SESSION).json()["messages"] if one["type"] == "tool"]
    assert contents == ["charged 50", "paid 5", "paid 5"]


def test_a_task_that_ended_without_a_call_leaves_nothing(invoke: Any, work: Any, asked: Any) -> None:
    ended_task(invoke)
    invoke("hello")
    work()
    assert told(asked) == [("user", "hello")]


def test_a_deleted_tasks_calls_are_forgotten(api: Any, invoke: Any, work: Any, asked: Any) -> None:
    task = ended_task(invoke)
    ended_call(task)
    assert api.delete(path_of(task).replace("status", "task")).status_code == 200
    invoke("hello")
    work()
    assert told(asked) == [("user", "hello")]


def test_after_a_result_from_outside_a_memory_waits_also_in_the_next_task(invoke: Any, work: Any) -> None:
    ended_call(ended_task(invoke), tool="read_page")
    task = invoke("remember that I like tea")
    work()
    assert "once a person has approved it" in answer_of(task)


def test_the_session_shows_them(api: Any, invoke: Any, work: Any, failing: None) -> None:
    task = invoke(CHARGE)
    work()
    messages = api.get(SESSION).json()["messages"]
    assert [one["type"] for one in messages] == ["human", "ai", "tool", "system"]
    assert messages[1]["tool_calls"][0]["args"] == {"amount": 50.0}
    assert messages[2]["content"] == "charged 50"
    assert {one["task_id"] for one in messages} == {task.task_id}


def test_its_pages_have_each_of_them_once(api: Any, invoke: Any, work: Any) -> None:
    for _ in range(3):
        ended_call(ended_task(invoke))
    found, cursor = [], ""
    while cursor is not None:
        body = api.get(f"{SESSION}?limit=3&cursor={cursor}").json()
        found += [one["id"] for one in body["messages"]]
        cursor = body["next"]
    assert len(found) == len(set(found)) == 12


def test_the_admins_pages_show_them(invoke: Any, admin_user: Any) -> None:
    task = ended_task(invoke, message="it broke")
    ended_call(task)
    for page in (f"session/{task.session_id}", f"task/{task.pk}"):
        text = pages_of(admin_user).get(f"/admin/agents/{page}/change/").content.decode()
        assert "paid 5" in text
        assert f"{effects.STANDS} The error: it broke]" in text


def test_the_review_page_shows_them(invoke: Any, work: Any, desk: Any) -> None:
    ended_call(ended_task(invoke))
    asking = invoke("book the Ritz for 2 nights")
    work()
    text = desk.get(f"/admin/reviews/review/{open_review(asking).pk}/change/").content.decode()
    assert "pay 5 to bob" in text
    assert "paid 5" in text


def test_a_later_review_resumes_with_them(api: Any, invoke: Any, work: Any, asked: Any) -> None:
    ended_call(ended_task(invoke))
    asking = invoke("book the Ritz for 2 nights")
    work()
    resume(api, asking)
    work()
    assert "Booked Ritz" in answer_of(asking)
    assert ("tool", "paid 5") in told(asked)


def test_what_is_told_of_them_is_a_sound_conversation(invoke: Any) -> None:
    ended_call(ended_task(invoke))
    ids = [one.id for one in conversation.opening(again(invoke("next")))]
    assert len(set(ids)) == len(ids) == 5
