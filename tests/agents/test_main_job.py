"""The main job from the first request to the final answer, with everything real but the processes."""

from pathlib import Path
from typing import Any

import pytest

from agents.models import Interrupt, Task, ToolCall
from memory.models import Memory
from tests.support.accounts import client_of
from tests.support.helpers import again, answer_of, messages_of, open_review, resume, status_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_free_tool_runs_and_the_task_completes(invoke: Any, work: Any) -> None:
    task = invoke("multiply 6 by 7")
    work()
    assert "42" in answer_of(task)


def test_a_risky_call_stops_and_shows_what_is_asked(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    asked = status_of(api, task)["last_response"]["interrupt_data"]
    assert asked["action_request"] == {"action": "book_hotel", "args": {"hotel_name": "Ritz", "nights": 2}}
    assert not ToolCall.objects.exists()


def test_an_accepted_call_runs_once_and_the_run_completes(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    assert resume(api, task).status_code == 202
    work()
    assert "Booked Ritz for 2 nights" in answer_of(task)
    assert ToolCall.objects.get().status == ToolCall.Status.SUCCEEDED


def test_an_edit_runs_the_changed_arguments_and_tells_the_model(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    resume(api, task, "edit", args={"hotel_name": "Savoy", "nights": 3})
    work()
    results = [m["content"] for m in messages_of(task) if m["type"] == "tool"]
    assert "A person changed the arguments" in results[0]
    assert "Booked Savoy for 3 nights" in results[0]


def test_the_original_systems_wrapped_edit_is_understood(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    resume(api, task, "edit", args={"args": {"hotel_name": "Savoy", "nights": 1}})
    work()
    assert "Booked Savoy for 1 night" in answer_of(task)


def test_a_rejected_call_never_runs_and_the_model_hears_why(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    resume(api, task, "ignore", message="too expensive")
    work()
    assert "too expensive" in answer_of(task)
    assert not ToolCall.objects.exists()


def test_a_response_takes_the_place_of_the_result(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    resume(api, task, "response", args="It is full, use the Savoy")
    work()
    assert "use the Savoy" in answer_of(task)
    assert not ToolCall.objects.exists()


def test_an_approved_mail_is_really_sent(invoke: Any, work: Any, reviewer: Any, settings: Any) -> None:
    task = invoke("email bob@example.com saying hello there")
    work()
    review = open_review(task)
    client_of(reviewer).post(f"/reviews/{review.pk}/decide", {"response_type": "accept", "version": review.version})
    work()
    mail = next(Path(settings.EMAIL_FILE_PATH).iterdir()).read_text()
    assert "To: bob@example.com" in mail
    assert "hello there" in mail


def test_parallel_calls_are_reviewed_one_by_one_and_a_free_sibling_runs_at_once(invoke: Any, work: Any) -> None:
    task = invoke("book the Ritz for 2 nights and email bob@example.com saying hi and multiply 6 by 7")
    work()
    assert set(Interrupt.objects.values_list("tool", flat=True)) == {"book_hotel", "send_email"}
    assert list(ToolCall.objects.values_list("tool", "status")) == [("multiply", "succeeded")]
    assert again(task).status == "interrupted"


def test_mixed_decisions_each_take_effect_at_once_and_reach_their_own_call(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights and book the Savoy for 1 night and multiply 6 by 7")
    work()
    ritz, savoy = Interrupt.objects.order_by("args_text")
    resume(api, task, interrupt_id=str(ritz.pk))
    work()
    assert set(ToolCall.objects.values_list("tool", "runs")) == {("book_hotel", 1), ("multiply", 1)}
    assert again(task).status == "interrupted"
    resume(api, task, "reject", interrupt_id=str(savoy.pk), message="not this one")
    work()
    assert "not this one" in answer_of(task)
    assert [c.args_text for c in ToolCall.objects.filter(tool="book_hotel")] == ['{"hotel_name":"Ritz","nights":2}']


def test_several_decisions_in_one_request(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights and book the Savoy for 1 night")
    work()
    decisions = [{"interrupt_id": str(row.pk), "response_type": "accept"} for row in Interrupt.objects.all()]
    response = api.post(
        "/agent/resume", {"user_id": "ann", "session_id": "s1", "task_id": task.task_id, "decisions": decisions}
    )
    work()
    assert response.status_code == 202
    assert ToolCall.objects.filter(tool="book_hotel", status="succeeded").count() == 2
    answer_of(task)


def test_turns_after_one_another_ask_again(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights then book the Savoy for 1 night")
    work()
    resume(api, task)
    work()
    assert resume(api, task).status_code == 409, "the second question was not seen by a repeated request"
    resume(api, task, interrupt_id=str(open_review(task).pk))
    work()
    assert ToolCall.objects.filter(tool="book_hotel").count() == 2
    answer_of(task)


def test_a_session_has_the_memory_of_its_earlier_tasks(invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    task = invoke("what did I ask before")
    work()
    assert "multiply 6 by 7" in answer_of(task)


def test_a_new_session_has_the_users_long_term_memories(invoke: Any, work: Any) -> None:
    invoke("remember that I prefer window seats")
    work()
    task = invoke("what do you know about me", session="s2")
    work()
    assert "window seats" in answer_of(task)
    assert [fact["text"] for fact in again(task).recalled or []] == [Memory.objects.get().text]


def test_two_users_with_the_same_ids_never_meet(invoke: Any, work: Any) -> None:
    invoke("remember that I prefer window seats", user="ann", session="s", task="t")
    work()
    invoke("remember that I like aisles", user="bob", session="s", task="t")
    work()
    for user, fact, other in (("ann", "window", "aisles"), ("bob", "aisles", "window")):
        known = invoke("what do you know about me", user=user, session="s", task="t2")
        asked = invoke("what did I ask before", user=user, session="s", task="t3")
        work()
        assert fact in answer_of(known)
        assert other not in answer_of(known)
        assert fact in answer_of(asked)
        assert other not in answer_of(asked)
    assert Task.objects.count() == 6


def test_a_second_task_waits_until_the_session_is_free(invoke: Any, work: Any, api: Any) -> None:
    first = invoke("book the Ritz for 2 nights")
    second = invoke("multiply 6 by 7")
    work()
    waiting = status_of(api, second)
    assert (waiting["status"], waiting["blocked_by"]) == ("pending", first.task_id)
    resume(api, first)
    work()
    assert "42" in answer_of(second)
