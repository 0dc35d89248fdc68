"""A newer task that takes the place of the session's unfinished ones, and what these leave in the conversation."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.checkpoints import tables
from agents.maintenance import sweeper
from agents.models import Attempt, Interrupt, Task, ToolCall
from agents.runtime.history import checkpointed, conversation, effects
from agents.state import tasks, tool_calls
from demo.model_server.oddities import THOUGHT
from reviews.decisions.services import Choice, decide
from tests.support import graph_settings
from tests.support.accounts import client_of, pages_of
from tests.support.helpers import again, answer_of, checkpoint_rows, open_review, path_of, status_of
from tests.support.oracle import Crash, calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle", "no_checkpoints")]

Told = list[tuple[str, Any]]
BOOK = "book the Ritz for 2 nights"
CHARGE = 'call free_charge with {"amount": 50}'
STOP = "stop that, multiply 2 by 3"
STOPPED = ("assistant", f"[{effects.ENDED['interrupt'].format(stands='').strip()}]")
SESSION = "/agent/session/ann/s1"


@pytest.fixture
def told(model_server: Any) -> Callable[[], Told]:
    """What the model was told in the first request of its last task: role, and text or calls."""

    def read() -> Told:
        requests = [one["messages"][1:] for one in model_server.received]
        messages = next(one for one in reversed(requests) if one[-1]["role"] == "user")
        return [(one["role"], one.get("content") or one.get("tool_calls")) for one in messages]

    return read


@pytest.fixture
def stopped_in_a_call(invoke: Any, work: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Task, Task]]:
    """Let a newer task come right after the call of this tool has ended; its run can write nothing more."""
    close = tool_calls.close

    def run(query: str, tool: str, strategy: str) -> tuple[Task, Task]:
        newer: list[Task] = []

        def come(row: ToolCall, *result: str) -> bool:
            closed = close(row, *result)
            if row.tool == tool and not newer:
                newer.append(invoke(STOP, multitask_strategy=strategy))
            return closed

        monkeypatch.setattr(tool_calls, "close", come)
        older = invoke(query)
        work()
        return again(older), again(newer[0])

    return run


def types_of(api: Any, task: Task) -> list[str]:
    """The types of the task's messages in the session's list."""
    messages = api.get(SESSION).json()["messages"]
    return [one["type"] for one in messages if one["task_id"] == task.task_id]


def calls_in(graph: str) -> str:
    """What makes this graph pay, and then ask for a review."""
    pay = f'{CHARGE} then call charge with {{"amount": 3}}'
    if graph in ("supervisor", "swarm"):
        return f"call transfer_to_worker with {{}} then multiply 1 by 1 then {pay}"  # the model takes it for done
    if graph.startswith("deep"):
        return f"call task with {json.dumps({'description': pay, 'subagent_type': 'general-purpose'})}"
    return f"call ask_worker with {json.dumps({'text': pay})}" if graph == "agent_as_tool" else pay


def roles(said: Told) -> list[str]:
    return [role for role, _ in said]


# What happens to the rows


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
def test_the_active_task_and_the_queued_ones_are_cancelled_and_the_newcomer_is_pending(
    invoke: Any, work: Any, api: Any, published: list[Any], strategy: str
) -> None:
    waiting, queued = invoke(BOOK), invoke("and a flight")
    work()
    newer = invoke(STOP, multitask_strategy=strategy)
    assert [again(one).status for one in (waiting, queued, newer)] == ["cancelled", "cancelled", "pending"]
    assert Interrupt.objects.get().status == "cancelled"
    assert published == [newer.pk]
    work()
    assert "6" in answer_of(newer)


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
def test_the_attempt_of_a_running_task_is_void_and_writes_nothing(invoke: Any, strategy: str) -> None:
    attempt = tasks.claim(invoke(BOOK).pk, "w")
    assert attempt is not None
    invoke(STOP, multitask_strategy=strategy)
    assert Attempt.objects.get(pk=attempt.pk).outcome == "voided"
    for write in (tasks.release, lambda one: tasks.finish(one, {"messages": []})):
        with pytest.raises(tasks.StaleAttempt):
            write(attempt)


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
def test_in_an_idle_session_nothing_is_cancelled(invoke: Any, work: Any, strategy: str) -> None:
    older = invoke("multiply 6 by 7")
    work()
    newer = invoke(STOP, multitask_strategy=strategy)
    work()
    assert [again(one).status for one in (older, newer)] == ["completed", "completed"]


def test_a_cancelled_task_says_which_newer_one_came(invoke: Any, api: Any, admin_user: User) -> None:
    older = invoke(BOOK)
    invoke(STOP, task="newer", multitask_strategy="interrupt")
    answer = status_of(api, older)
    assert (answer["status"], answer["last_response"]["result"]) == ("cancelled", None)
    assert answer["message"] == tasks.SUPERSEDED.format(newer="newer", strategy="interrupt")
    page = pages_of(admin_user).get(f"/admin/agents/task/{older.pk}/change/").content.decode()
    assert "the newer task `newer` was submitted" in page


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
def test_a_repeated_submission_cancels_nothing(invoke: Any, api: Any, strategy: str) -> None:
    invoke(BOOK)
    body = {"user_id": "ann", "session_id": "s1", "query": STOP, "multitask_strategy": strategy}
    by_id = {**body, "task_id": "newer"}
    keyed = {"HTTP_IDEMPOTENCY_KEY": "k"}
    assert api.post("/agent/invoke", by_id).status_code == 202
    assert api.post("/agent/invoke", body, **keyed).status_code == 202
    last = invoke("the last one", multitask_strategy=strategy)
    assert api.post("/agent/invoke", by_id).json()["task_id"] == "newer"
    assert api.post("/agent/invoke", body, **keyed).status_code == 202
    assert api.post("/agent/invoke", {**by_id, "query": "other"}).json()["code"] == "task_exists"
    assert again(last).status == "pending"
    assert Task.objects.count() == 4


def test_tasks_that_are_cancelled_make_room_for_the_newcomer(invoke: Any, settings: Any) -> None:
    settings.TASKS_IN_FLIGHT_PER_USER, settings.TASK_MAX_QUEUED = 2, 1
    invoke(BOOK), invoke("and a flight")
    assert invoke(STOP, multitask_strategy="interrupt").status == "pending"


def test_a_newcomer_that_is_refused_cancels_nothing(invoke: Any, api: Any, settings: Any) -> None:
    older = invoke(BOOK)
    invoke("elsewhere", session="s2")
    settings.TASKS_IN_FLIGHT_PER_USER = 1
    body = {"user_id": "ann", "session_id": "s1", "query": STOP, "multitask_strategy": "rollback"}
    assert api.post("/agent/invoke", body).status_code == 429
    assert (again(older).status, again(older).superseded) == ("pending", "")


def test_only_who_may_write_for_the_owner_can_interrupt(invoke: Any, bob: User) -> None:
    older = invoke(BOOK)
    body = {"user_id": "ann", "session_id": "s1", "query": STOP, "multitask_strategy": "interrupt"}
    assert client_of(bob).post("/agent/invoke", body).status_code == 403
    assert again(older).status == "pending"


# What an interrupted task leaves


def test_what_it_finished_stays_with_the_results_of_its_calls(stopped_in_a_call: Any, told: Any, api: Any) -> None:
    older, newer = stopped_in_a_call(f"multiply 6 by 7 then {CHARGE}", "free_charge", "interrupt")
    assert (older.status, newer.status) == ("cancelled", "completed")
    assert roles(told()) == ["user", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    assert told()[2] == ("tool", "42")
    assert told()[4] == ("tool", "charged 50")  # its run could not store the message: this is from the ledger
    assert effects.STANDS in told()[5][1]
    assert types_of(api, older) == ["human", "ai", "tool", "ai", "tool", "system"]
    assert calls() == ["free_charge 50"]


def test_a_call_that_waited_for_its_review_was_not_made(invoke: Any, work: Any, told: Any) -> None:
    invoke(BOOK)
    work()
    invoke(STOP, multitask_strategy="interrupt")
    work()
    assert roles(told()) == ["user", "assistant", "tool", "assistant", "user"]
    assert told()[2:4] == [("tool", effects.NOT_MADE), STOPPED]


def test_of_parallel_calls_each_has_its_own_end(invoke: Any, work: Any, told: Any) -> None:
    invoke(f"{CHARGE} and {BOOK}")
    work()
    invoke(STOP, multitask_strategy="interrupt")
    work()
    assert told()[2:4] == [("tool", "charged 50"), ("tool", effects.NOT_MADE)]


def test_one_that_had_not_begun_leaves_its_question(invoke: Any, work: Any, told: Any, api: Any) -> None:
    older = invoke(BOOK)
    invoke(STOP, multitask_strategy="interrupt")
    work()
    assert told() == [("user", BOOK), STOPPED, ("user", STOP)]
    assert types_of(api, older) == ["human", "system"]


def test_a_chain_of_interrupts_keeps_each_in_its_order(invoke: Any, work: Any, told: Any) -> None:
    invoke(BOOK)
    work()
    invoke("and a flight")
    invoke(f"{CHARGE} then {BOOK}", multitask_strategy="interrupt")
    work()
    invoke(STOP, multitask_strategy="interrupt")
    work()
    asked = [text for role, text in told() if role == "user"]
    assert asked == [BOOK, "and a flight", f"{CHARGE} then {BOOK}", STOP]
    assert ("tool", "charged 50") in told()
    assert roles(told()).count("tool") == 3


def test_a_last_answer_that_no_row_has_yet_needs_no_word_on_its_end(
    invoke: Any, work: Any, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = tasks.finish

    def finish_too_late(attempt: Attempt, *result: Any) -> None:
        if attempt.task.query != STOP:
            invoke(STOP, multitask_strategy="interrupt")
        finish(attempt, *result)

    monkeypatch.setattr(tasks, "finish", finish_too_late)
    older = invoke("multiply 6 by 7")
    work()
    assert again(older).status == "cancelled"
    assert roles(told()) == ["user", "assistant", "tool", "assistant", "user"]
    assert "42" in told()[3][1]


def test_it_stays_when_the_checkpoints_are_gone(invoke: Any, work: Any, told: Any, api: Any, settings: Any) -> None:
    settings.CHECKPOINT_RETENTION_DAYS = 0
    older = invoke(f"{CHARGE} then {BOOK}")
    work()
    invoke(STOP, multitask_strategy="interrupt")
    sweeper.forget_checkpoints()
    work()
    expected = ["user", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    assert roles(told()) == expected
    sweeper.forget_checkpoints()
    assert checkpoint_rows() == 0
    invoke("hello")
    work()
    assert roles(told())[: len(expected)] == expected
    assert types_of(api, older) == ["human", "ai", "tool", "ai", "tool", "system"]


def test_a_worker_keeps_it_where_no_other_task_follows(invoke: Any, work: Any, api: Any, settings: Any) -> None:
    settings.CHECKPOINT_RETENTION_DAYS = 0
    older = invoke(BOOK)
    work()
    newer = invoke(STOP, multitask_strategy="interrupt")
    assert api.delete(path_of(newer).replace("status", "task")).status_code == 200
    conversation.keep_due()
    sweeper.forget_checkpoints()
    assert checkpoint_rows() == 0
    assert types_of(api, older) == ["human", "ai", "tool", "system"]


def test_a_worker_that_was_killed_leaves_what_its_checkpoints_and_the_ledger_have(
    invoke: Any, work: Any, told: Any, reviewer: User
) -> None:
    task = invoke(f'{CHARGE} then call charge_and_crash with {{"amount": 3}}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    with pytest.raises(Crash):
        work()
    invoke(STOP, multitask_strategy="interrupt")
    work()
    assert [text for role, text in told() if role == "tool"] == ["charged 50", effects.UNKNOWN]
    assert calls() == ["free_charge 50", "charge_and_crash 3"]


def test_a_call_that_ends_after_its_task_is_told_with_its_result(invoke: Any, work: Any, told: Any) -> None:
    attempt = tasks.claim(invoke("pay").pk, "w")
    assert attempt is not None
    row = tool_calls.enter(attempt, tool_calls.Entry("m", "c", "pay", "{}", "d"))
    invoke(STOP, multitask_strategy="interrupt")
    work()
    assert ("tool", effects.UNKNOWN) in told()
    assert tool_calls.close(row, "succeeded", '{"content": "paid 5"}')
    invoke("hello")
    work()
    assert roles(told())[:5] == ["user", "assistant", "tool", "assistant", "user"]
    assert told()[2] == ("tool", "paid 5")


def test_what_an_endpoint_expects_back_stays_too(use_model: Any, invoke: Any, work: Any, model_server: Any) -> None:
    use_model("odd-signed")
    invoke(f"{CHARGE} then {BOOK}")
    work()
    invoke(STOP, multitask_strategy="interrupt")
    model_server.received.clear()
    work()
    told_back = [one for one in model_server.received[0]["messages"] if one["role"] == "assistant"]
    assert [one.get("reasoning_content") for one in told_back] == [THOUGHT, THOUGHT, None]


@pytest.mark.parametrize("graph", graph_settings.NAMES)
def test_any_graph_leaves_a_sound_conversation(
    invoke: Any, work: Any, told: Any, model_server: Any, settings: Any, graph: str
) -> None:
    """Each call has its result, and those that ran are told, also where a sub-agent made them."""
    for name in graph_settings.NAMES:
        own = {**settings.AGENTS["default"], "GRAPH": f"tests.support.odd_graphs.{name}"}
        settings.AGENTS = {**settings.AGENTS, name: own}
    older = invoke(calls_in(graph), agent=graph)
    work()
    assert again(older).status == "interrupted", again(older).message
    invoke(STOP, multitask_strategy="interrupt")
    model_server.received.clear()
    work()
    messages = model_server.received[0]["messages"]
    waiting: set[str] = set()
    for one in messages:
        if one["role"] == "tool":
            waiting.remove(one["tool_call_id"])
        else:
            assert not waiting
            waiting = {call["id"] for call in one.get("tool_calls") or ()}
    results = [one["content"] for one in messages if one["role"] == "tool"]
    assert results.count("charged 50") == (graph != "deep_with_gate")  # there the outer call waits for its review
    assert results.count(effects.NOT_MADE) == 1
    assert not Task.objects.filter(to_keep=True).exists()


@pytest.mark.parametrize("deleted", ["older", "newer"])
def test_deleting_one_of_the_two_leaves_the_other(invoke: Any, work: Any, told: Any, api: Any, deleted: str) -> None:
    older = invoke(BOOK)
    work()
    newer = invoke(STOP, multitask_strategy="interrupt")
    work()
    gone = {"older": older, "newer": newer}[deleted]
    assert api.delete(path_of(gone).replace("status", "task")).status_code == 200
    invoke("hello")
    work()
    asked = [text for role, text in told() if role == "user"]
    assert asked == [STOP if deleted == "older" else BOOK, "hello"]


@pytest.mark.parametrize("broken", ["checkpoint", "agent"])
def test_where_it_can_not_be_read_the_calls_stay_known(
    invoke: Any, work: Any, told: Any, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    older = invoke(f"{CHARGE} then {BOOK}")
    work()
    if broken == "agent":
        Task.objects.filter(pk=older.pk).update(agent="gone")
    else:
        monkeypatch.setattr(checkpointed, "messages_of", lambda task: [][0])
    invoke(STOP, multitask_strategy="interrupt")
    work()
    assert roles(told()) == ["user", "assistant", "tool", "assistant", "user"]
    assert told()[2] == ("tool", "charged 50")
    assert not Task.objects.filter(to_keep=True).exists()


def test_what_another_process_has_kept_meanwhile_counts(invoke: Any, work: Any) -> None:
    older = invoke(BOOK)
    work()
    invoke(STOP, multitask_strategy="interrupt")
    late = again(older)
    conversation.keep(again(older))
    tables.forget([older.pk])
    conversation.keep(late)
    assert late.kept == again(older).kept
    assert [one["type"] for one in (late.kept or {})["messages"]] == ["human", "ai"]


# What a task that was rolled back leaves


def test_its_words_are_forgotten(invoke: Any, work: Any, told: Any, api: Any) -> None:
    older, queued = invoke(f"multiply 6 by 7 then {BOOK}"), invoke("and a flight")
    ToolCall.objects.all().delete()
    invoke(STOP, multitask_strategy="rollback")
    work()
    assert told() == [("user", STOP)]
    assert types_of(api, older) == types_of(api, queued) == []


def test_a_payment_is_told_all_the_same(stopped_in_a_call: Any, told: Any, api: Any) -> None:
    older, newer = stopped_in_a_call(f"{CHARGE} for my secret", "free_charge", "rollback")
    assert (older.status, newer.status) == ("cancelled", "completed")
    assert roles(told()) == ["user", "assistant", "tool", "assistant", "user"]
    assert told()[0] == ("user", f"[{effects.TAKEN_BACK}]")
    assert told()[2] == ("tool", "charged 50")
    assert effects.STANDS in told()[3][1]
    assert "secret" not in str(told())
    assert types_of(api, older) == ["system", "ai", "tool", "system"]
    assert calls() == ["free_charge 50"]


@pytest.mark.parametrize("closed", ["before", "after", "never"])
def test_a_call_without_a_result_stays_in_doubt_until_it_has_one(
    invoke: Any, work: Any, told: Any, closed: str
) -> None:
    attempt = tasks.claim(invoke("pay").pk, "w")
    assert attempt is not None
    row = tool_calls.enter(attempt, tool_calls.Entry("m", "c", "pay", "{}", "d"))
    invoke(STOP, multitask_strategy="rollback")
    if closed == "before":
        tool_calls.close(row, "succeeded", '{"content": "paid 5"}')
    work()
    assert ("tool", "paid 5" if closed == "before" else effects.UNKNOWN) in told()
    if closed == "after":
        tool_calls.close(row, "succeeded", '{"content": "paid 5"}')
    invoke("hello")
    work()
    assert ("tool", effects.UNKNOWN if closed == "never" else "paid 5") in told()


def test_what_earlier_tasks_have_said_is_not_forgotten(invoke: Any, work: Any, told: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    invoke(BOOK)
    work()
    invoke(STOP, multitask_strategy="rollback")
    work()
    assert [text for role, text in told() if role == "user"] == ["multiply 6 by 7", STOP]


def test_its_checkpoints_go_with_the_others(invoke: Any, work: Any, settings: Any) -> None:
    settings.CHECKPOINT_RETENTION_DAYS = 0
    invoke(BOOK)
    work()
    invoke(STOP, multitask_strategy="rollback")
    assert checkpoint_rows()
    sweeper.forget_checkpoints()
    assert checkpoint_rows() == 0
