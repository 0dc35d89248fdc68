"""Statements for PostgreSQL do what Django's ORM does on SQLite."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from agents import pauses
from agents.models import Attempt, Interrupt, Pause, Task, ToolCall
from agents.state import statements, tasks, tool_calls
from tests.support.concurrency import lapse_all

pytestmark = pytest.mark.django_db(transaction=True)

WAYS = ["statement", "ORM"] if connection.vendor == "postgresql" else ["ORM"]
TIMES = {"lease_until", "started_at", "ended_at", "finished_at", "updated_at", "created_at", "published_at"}
ENTRY = tool_calls.Entry("m", "c", "charge", '{"a": 1}', "digest")


@pytest.fixture(params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test takes both ways where there are two, and both have to pass."""
    if request.param == "ORM":
        monkeypatch.setattr(statements, "are_there", lambda: False)
    return str(request.param)


def columns(row: Any) -> dict[str, Any]:
    """Return the values of a row as it is stored, without its keys; of times only whether there is one."""
    stored = type(row).objects.filter(pk=row.pk).values().get()
    kept = {name: value for name, value in stored.items() if name != "id" and not name.endswith("_id")}
    return {name: value is not None if name in TIMES else value for name, value in kept.items()}


def claimed(task: Task) -> Attempt:
    attempt = tasks.claim(task.pk, "worker")
    assert attempt is not None
    return attempt


def test_a_claim(invoke: Callable[..., Task]) -> None:
    task = invoke("x")
    attempt = claimed(task)
    assert columns(attempt) == {
        "token": 1,
        "worker": "worker",
        "outcome": "",
        "lease_until": True,
        "started_at": True,
        "ended_at": False,
    }
    stored = columns(task)
    assert (stored["status"], stored["token"], stored["has_thread"]) == ("running", 1, True)
    assert (stored["published_at"], stored["held_tool"]) == (False, "")
    row = Attempt.objects.get()
    assert (attempt.started_at, attempt.task.session.user_id) == (row.started_at, "ann")
    assert attempt.task.status == "running"


def test_the_first_attempt_knows_that_there_are_no_checkpoints_and_the_second_does_not(
    invoke: Callable[..., Task],
) -> None:
    task = invoke("x")
    assert not claimed(task).task.has_thread
    lapse_all()
    second = claimed(task)
    assert (second.token, second.task.has_thread) == (2, True)


@pytest.mark.parametrize("status", ["queued", "running", "interrupted", "completed", "error", "cancelled"])
def test_no_claim_of_a_task_that_is_not_pending(invoke: Callable[..., Task], status: str) -> None:
    task = invoke("x")
    Task.objects.update(status=status)
    assert tasks.claim(task.pk, "worker") is None
    assert not Attempt.objects.exists()


SCOPES = [("everything", ""), ("agent", "default"), ("user", "ann"), ("tool", "charge")]
OTHERS = [("agent", "other"), ("user", "bob"), ("tool", "other"), ("agent", "ann"), ("user", "default")]


@pytest.mark.parametrize(("scope", "value"), SCOPES + OTHERS)
def test_a_claim_looks_at_the_pauses(invoke: Callable[..., Task], scope: str, value: str) -> None:
    task = invoke("x")
    Task.objects.update(held_tool="charge")
    pause = Pause.objects.create(scope=scope, value=value, reason="r", by_name="op")
    assert (tasks.claim(task.pk, "worker") is None) == ((scope, value) in SCOPES)
    Pause.objects.filter(pk=pause.pk).update(lifted_at=pause.created_at)
    assert (tasks.claim(task.pk, "worker") is None) == ((scope, value) not in SCOPES)


@pytest.mark.parametrize(("scope", "value"), SCOPES + OTHERS)
def test_an_entry_looks_at_the_pauses(invoke: Callable[..., Task], scope: str, value: str) -> None:
    attempt = claimed(invoke("x"))
    Pause.objects.create(scope=scope, value=value, reason="r", by_name="op")
    if (scope, value) in SCOPES:
        with pytest.raises(pauses.OnHold, match="charge"):
            tool_calls.enter(attempt, ENTRY)
        assert not ToolCall.objects.exists()
    else:
        tool_calls.enter(attempt, ENTRY)
        assert ToolCall.objects.count() == 1


def test_an_entry_and_its_result(invoke: Callable[..., Task]) -> None:
    attempt = claimed(invoke("x"))
    row = tool_calls.enter(attempt, ENTRY)
    assert columns(row) == {
        "tool": "charge",
        "args_text": '{"a": 1}',
        "args_digest": "digest",
        "reviewed": False,
        "outer": None,
        "status": "started",
        "runs": 1,
        "doubtful": False,
        "result_text": "",
        "started_at": True,
        "finished_at": False,
    }
    stored = ToolCall.objects.get()
    assert (stored.message_id, stored.tool_call_id, stored.attempt_id) == ("m", "c", attempt.pk)
    assert row.started_at == stored.started_at
    assert tool_calls.close(row, ToolCall.Status.SUCCEEDED, '"done"')
    assert not tool_calls.close(row, ToolCall.Status.FAILED, '"no"')
    stored = ToolCall.objects.get()
    assert (stored.status, stored.result_text, stored.finished_at is not None) == ("succeeded", '"done"', True)


def test_the_end_of_a_run(invoke: Callable[..., Task]) -> None:
    task = invoke("x")
    attempt = claimed(task)
    asked = Interrupt.objects.create(task=task, kind="question", message_id="m", tool_call_id="c", graph_id="g")
    next_task = invoke("y")
    assert next_task.status == "queued"
    tasks.finish(attempt, {"messages": [{"type": "ai", "content": "é \\u0000 'quoted' %s"}]}, "cut off")
    stored = columns(task)
    assert (stored["status"], stored["message"]) == ("completed", "cut off")
    assert stored["result"] == {"messages": [{"type": "ai", "content": "é \\u0000 'quoted' %s"}]}
    assert columns(attempt) | {"ended_at": True, "outcome": "finished"} == columns(attempt)
    asked.refresh_from_db()
    assert (asked.status, asked.version) == ("cancelled", 2)
    next_task.refresh_from_db()
    assert next_task.status == "pending"


@pytest.mark.parametrize("write", ["finish", "fail"])
def test_no_end_by_an_attempt_that_is_over(invoke: Callable[..., Task], write: str) -> None:
    task = invoke("x")
    first = claimed(task)
    lapse_all()
    claimed(task)
    before = columns(task)
    with pytest.raises(tasks.StaleAttempt):
        tasks.finish(first, {}) if write == "finish" else tasks.fail(first, "no")
    assert columns(task) == before
    assert Attempt.objects.filter(ended_at=None).count() == 1
