"""Sessions over REST: opening, reading page by page, deleting."""

from itertools import chain
from typing import Any

import pytest

from agents.checkpoints import fenced_saver, tables
from agents.models import Attempt, Interrupt, Session, Task, ToolCall
from agents.runtime.runner import advance
from agents.state import tasks, tool_calls
from memory.models import Memory
from reviews.models import Decision
from tests.support.accounts import client_of, keyed_client_of
from tests.support.concurrency import in_threads
from tests.support.helpers import again, answer_of, checkpoint_rows, open_review, path_of, resume

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_checkpoints")]

OPEN = {"user_id": "ann", "session_id": "s1", "title": "Trip", "agent": "default"}
SESSION = "/agent/session/ann/s1"
TABLES = (Session, Task, Attempt, Interrupt, ToolCall, Decision)


def rows() -> dict[str, int]:
    """What is left, by table; the checkpoints as one."""
    left = {model.__name__: model.objects.count() for model in TABLES}
    return {name: count for name, count in {**left, "checkpoints": checkpoint_rows()}.items() if count}


def test_a_session_is_opened_before_its_first_task(api: Any) -> None:
    response = api.post("/agent/session", OPEN)
    assert response.status_code == 201
    assert {"title": "Trip", "status": "idle", "tasks_count": 0, "tasks": {}}.items() <= response.json().items()


def test_opening_it_again_is_a_200(api: Any) -> None:
    assert [api.post("/agent/session", OPEN).status_code for _ in range(2)] == [201, 200]
    assert Session.objects.count() == 1


def test_opening_it_with_another_title_conflicts(api: Any) -> None:
    api.post("/agent/session", OPEN)
    response = api.post("/agent/session", {**OPEN, "title": "Work"})
    assert (response.status_code, response.json()["code"]) == (409, "session_exists")


def test_ids_left_out_are_made(ann: Any) -> None:
    answer = client_of(ann).post("/agent/session", {}).json()
    assert answer["user_id"] == "ann"
    assert Session.objects.get().session_id == answer["session_id"]


@pytest.mark.parametrize(
    ("field", "value"), [("user_id", 5), ("session_id", ".."), ("title", "x" * 201), ("title", 5), ("agent", "nobody")]
)
def test_bad_input_opens_nothing(api: Any, field: str, value: Any) -> None:
    response = api.post("/agent/session", {**OPEN, field: value})
    assert response.status_code == 400
    assert field in response.json()["errors"]
    assert not Session.objects.exists()


def test_its_agent_is_that_of_its_tasks(api: Any, invoke: Any, settings: Any) -> None:
    settings.AGENTS = {**settings.AGENTS, "other": settings.AGENTS["default"]}
    api.post("/agent/session", {**OPEN, "agent": "other"})
    assert invoke("x").agent == "other"
    assert invoke("x", agent="default").agent == "default"


def test_its_conversation_is_that_of_its_completed_tasks(api: Any, invoke: Any, work: Any) -> None:
    first = invoke("multiply 6 by 7")
    work()
    invoke("book the Ritz for 2 nights")
    work()
    body = api.get(SESSION).json()
    assert [m["type"] for m in body["messages"]] == ["human", "ai", "tool", "ai"]
    assert {m["task_id"] for m in body["messages"]} == {first.task_id}
    assert (body["status"], body["tasks"], body["next"]) == ("interrupted", {"completed": 1, "interrupted": 1}, None)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 4, 5, 12])
def test_its_pages_have_each_message_once(api: Any, invoke: Any, work: Any, limit: int, order: str) -> None:
    for _ in range(3):
        invoke("multiply 6 by 7")
        work()
    found, cursor = [], ""
    while cursor is not None:
        body = api.get(f"{SESSION}?limit={limit}&order={order}&cursor={cursor}").json()
        assert len(body["messages"]) <= limit
        found += [m["id"] for m in body["messages"]]
        cursor = body["next"]
    oldest_first = [m["id"] for m in api.get(SESSION).json()["messages"]]
    assert found == (oldest_first if order == "asc" else oldest_first[::-1])
    assert len(set(found)) == 12


@pytest.mark.parametrize("path", [SESSION, "/agent/tasks/ann/s1"])
def test_an_order_that_is_none_is_a_400(api: Any, path: str) -> None:
    api.post("/agent/session", OPEN)
    answer = api.get(f"{path}?order=newest")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["order"])


def test_its_tasks_may_come_newest_first(api: Any, invoke: Any) -> None:
    for number in range(3):
        invoke("x", task=f"t{number}")
    body = api.get("/agent/tasks/ann/s1?order=desc&limit=2").json()
    assert [one["task_id"] for one in body["tasks"]] == ["t2", "t1"]
    rest = api.get("/agent/tasks/ann/s1", {"order": "desc", "cursor": body["next"]}).json()
    assert [one["task_id"] for one in rest["tasks"]] == ["t0"]


@pytest.mark.parametrize("cursor", ["x", "W10=", "WyIxIiwyXQ==", "WzEsdHJ1ZV0="])
def test_a_bad_cursor_is_a_400(api: Any, cursor: str) -> None:
    api.post("/agent/session", OPEN)
    assert api.get(f"{SESSION}?cursor={cursor}").status_code == 400


@pytest.mark.parametrize("cursor", ["Wy01LC01XQ==", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5LDFd"])
def test_a_cursor_beyond_the_end_is_an_ordinary_page(api: Any, cursor: str) -> None:
    api.post("/agent/session", OPEN)
    assert api.get(f"{SESSION}?cursor={cursor}").json()["messages"] == []


@pytest.mark.parametrize("count", [1, 12])
def test_reading_needs_few_queries(
    service: Any, invoke: Any, work: Any, django_assert_max_num_queries: Any, count: int
) -> None:
    for _ in range(count):
        invoke("multiply 6 by 7")
        work()
    client = keyed_client_of(service)
    with django_assert_max_num_queries(5):
        client.get(SESSION)


def test_a_waiting_task_counts_as_pending(api: Any, invoke: Any) -> None:
    invoke("one"), invoke("two")
    assert api.get(SESSION).json()["tasks"] == {"pending": 2}


def test_deleting_leaves_no_row_and_no_checkpoint(api: Any, invoke: Any, work: Any) -> None:
    task = invoke("book the Ritz for 2 nights then book the Savoy for 1 night")
    work()
    resume(api, task)
    work()
    assert rows().keys() == {model.__name__ for model in TABLES} | {"checkpoints"}
    assert api.delete(SESSION).json()["status"] == "success"
    assert rows() == {}
    assert api.delete(SESSION).status_code == 404


def test_deleting_leaves_other_sessions_alone(api: Any, invoke: Any, work: Any) -> None:
    kept = invoke("book the Ritz for 2 nights", session="s2")
    invoke("book the Ritz for 2 nights")
    work()
    api.delete(SESSION)
    resume(api, kept)
    work()
    assert "Booked Ritz" in answer_of(kept)


def test_what_is_remembered_of_the_user_stays_and_of_the_session_goes(api: Any, invoke: Any) -> None:
    invoke("x")
    for scope, ref in (("user", ""), ("session", "s1"), ("session", "s2")):
        Memory.objects.create(user_id="ann", text=f"{scope}{ref}", text_key=scope + ref, scope=scope, scope_ref=ref)
    api.delete(SESSION)
    assert set(Memory.objects.values_list("text", flat=True)) == {"user", "sessions2"}


def test_a_run_whose_session_is_deleted_writes_nothing_more(api: Any, invoke: Any, event: Any) -> None:
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "w")
    assert attempt is not None
    api.delete(SESSION)
    with pytest.raises(tasks.StaleAttempt):
        advance(attempt, event)
    assert rows() == {}


def test_a_fence_that_has_seen_its_attempt_finds_it_gone(api: Any, invoke: Any) -> None:
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "w")
    assert attempt is not None
    config: Any = {"configurable": {"thread_id": str(attempt.task_id), "checkpoint_ns": ""}}
    with fenced_saver.saver_of(attempt) as saver:
        failed = [("__error__", "it broke")]  # which does not wait for a checkpoint
        saver.put_writes({"configurable": {**config["configurable"], "checkpoint_id": "1"}}, failed, "t")
        assert checkpoint_rows() == 1
        api.delete(SESSION)
        with pytest.raises(tasks.StaleAttempt):
            saver.put_writes({"configurable": {**config["configurable"], "checkpoint_id": "2"}}, failed, "t")
    assert rows() == {}


def test_a_call_that_ends_after_the_deletion_leaves_nothing(api: Any, invoke: Any) -> None:
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "w")
    assert attempt is not None
    row = tool_calls.enter(attempt, tool_calls.Entry("m", "c", "charge", "{}", "d"))
    api.delete(SESSION)
    tool_calls.close(row, ToolCall.Status.SUCCEEDED, "{}")
    assert rows() == {}


def test_deleting_while_it_is_submitted_to_loses_neither(api: Any, service: Any) -> None:
    def one(number: int) -> int:
        client = client_of(service)
        if number % 2:
            return int(client.delete(SESSION).status_code)
        body = {"user_id": "ann", "session_id": "s1", "task_id": f"t{number}", "query": "x"}
        return int(client.post("/agent/invoke", body).status_code)

    given = in_threads(8, one)
    assert set(given[::2]) == {202}
    assert set(given[1::2]) <= {200, 404}


def test_a_deleted_task_is_out_of_the_conversation_and_the_next_one_starts(api: Any, invoke: Any, work: Any) -> None:
    first = invoke("multiply 6 by 7")
    work()
    waiting, asking = invoke("book the Ritz for 2 nights"), invoke("what did I ask before")
    for task in (first, waiting):
        assert api.delete(path_of(task).replace("status", "task")).status_code == 200
    work()
    assert "multiply" not in answer_of(asking)
    assert Task.objects.get() == asking


def test_deleting_a_decided_tasks_review_takes_its_decision(api: Any, invoke: Any, work: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    review = open_review(task)
    resume(api, task)
    work()
    api.delete(path_of(task).replace("status", "task"))
    assert api.get(f"/reviews/{review.pk}").status_code == 404
    assert rows() == {"Session": 1}


def test_a_missing_task_can_not_be_deleted(api: Any, invoke: Any) -> None:
    invoke("x")
    assert api.delete("/agent/task/ann/s1/none").status_code == 404
    assert api.delete("/agent/task/ann/none/t0").status_code == 404


def test_outsiders_get_nothing(invoke: Any, bob: Any) -> None:
    task, other = invoke("secret"), client_of(bob)
    foreign, missing = other.get(SESSION), other.get("/agent/session/ann/none")
    assert (foreign.status_code, foreign.json()) == (404, missing.json())
    assert other.delete(SESSION).status_code == 404
    assert other.delete(path_of(task).replace("status", "task")).status_code == 404
    assert other.post("/agent/session", {**OPEN, "session_id": "s9"}).status_code == 403
    assert again(task).status == "pending"
    assert Session.objects.count() == 1


def test_the_checkpoint_tables_are_those_of_langgraph(invoke: Any, work: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    before = checkpoint_rows()
    assert tables.forget([task.pk]) == before > 0
    assert checkpoint_rows() == 0
    assert tables.newest(task.pk) == ""


def test_a_thread_without_its_task_is_an_orphan(invoke: Any, work: Any) -> None:
    kept, gone = invoke("book the Ritz for 2 nights"), invoke("book the Savoy for 1 night", session="s2")
    work()
    Task.objects.filter(pk=gone.pk).delete()
    assert set(chain.from_iterable(tables.orphans())) == {gone.pk}
    tables.delete([gone.pk])
    assert list(tables.orphans()) == []
    assert tables.newest(kept.pk) != ""
