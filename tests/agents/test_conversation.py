"""What a task starts from, and the shape in which messages are kept."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from agents.models import Session, Task
from agents.runtime.gate import call_site
from agents.runtime.history import conversation
from agents.runtime.middleware.answers import BROKEN_CALLS, reliable
from tests.support.helpers import again

CALL = {"name": "multiply", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
TURN = [
    HumanMessage("hello " * 50, id="h"),
    AIMessage("", id="a", tool_calls=[CALL]),
    ToolMessage("42 " * 50, tool_call_id="c1", name="multiply", id="t"),
    AIMessage("done", id="b"),
]


@pytest.fixture
def session(db: None) -> Session:
    return Session.objects.create(user_id="ann", session_id="s")


def earlier(session: Session, count: int) -> None:
    for number in range(count):
        result = {"messages": conversation.to_wire(list(TURN))}
        Task.objects.create(
            session=session, position=number, task_id=f"e{number}", query="x", status="completed", result=result
        )


def next_task(session: Session) -> Task:
    task = Task.objects.create(session=session, position=100, task_id="next", query="and now?")
    return Task.objects.get(pk=task.pk)


def test_messages_survive_the_wire() -> None:
    again = conversation.from_wire(conversation.to_wire(list(TURN)))
    assert conversation.to_wire(again) == conversation.to_wire(list(TURN))
    assert [type(message) for message in again] == [type(message) for message in TURN]


def test_a_wire_message_has_the_documented_fields() -> None:
    human, ai, tool, _ = conversation.to_wire(list(TURN))
    assert set(human) == {"type", "content", "id"}
    assert ai["tool_calls"] == [{"name": "multiply", "args": {"a": 1}, "id": "c1"}]
    assert (tool["type"], tool["tool_call_id"], tool["name"]) == ("tool", "c1", "multiply")


def test_a_task_starts_from_the_sessions_completed_tasks(session: Session) -> None:
    earlier(session, 2)
    Task.objects.create(session=session, position=99, task_id="bad", query="x", status="error")
    opening = conversation.opening(next_task(session))
    assert len(opening) == 9
    assert opening[-1].content == "and now?"


@pytest.mark.parametrize("budget", [100, 200, 300, 500, 1000])
def test_it_is_cut_before_a_question_and_never_parts_a_call_from_its_result(
    session: Session, settings: Any, budget: int
) -> None:
    settings.CONVERSATION_TOKENS = budget
    earlier(session, 5)
    kept = conversation.opening(next_task(session))
    assert [message.type for message in kept[:-1]] == ["human", "ai", "tool", "ai"] * (len(kept) // 4)


def test_what_no_database_can_hold_is_replaced_on_the_wire() -> None:
    wire = conversation.to_wire([AIMessage("a\x00b\ud800", id="x")])
    assert "\x00" not in wire[0]["content"]
    wire[0]["content"].encode()


def test_a_models_message_gets_an_id_of_its_own() -> None:
    assert reliable(AIMessage("a", id="same")).id != reliable(AIMessage("a", id="same")).id


def test_calls_with_the_same_or_no_id_get_their_own() -> None:
    message = reliable(AIMessage("", tool_calls=[CALL, CALL, {**CALL, "id": None}]))
    assert len({call["id"] for call in message.tool_calls}) == 3  # type: ignore[attr-defined]


def test_a_call_whose_arguments_are_no_json_is_no_final_answer() -> None:
    broken = {"name": "multiply", "args": "{", "id": "c9", "error": "x", "type": "invalid_tool_call"}
    message = reliable(AIMessage("", invalid_tool_calls=[broken]))
    assert message.tool_calls[0]["id"] == "c9"  # type: ignore[attr-defined]
    assert list(message.additional_kwargs[BROKEN_CALLS]) == ["c9"]


def test_a_broken_call_of_an_older_checkpoint_is_still_one() -> None:
    message = AIMessage("", tool_calls=[CALL], additional_kwargs={BROKEN_CALLS: ["c1"]})
    assert "not valid JSON" in call_site.malformed(message, "c1")


def test_tasks_of_one_moment_stay_in_order(session: Session) -> None:
    earlier(session, 3)
    Task.objects.update(created_at="2026-01-01T00:00:00Z")
    task = next_task(session)
    Task.objects.filter(pk=task.pk).update(created_at="2026-01-01T00:00:00Z")
    assert len(conversation.opening(again(task))) == 3 * len(TURN) + 1
