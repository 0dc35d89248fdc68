"""The guarantees of docs/explanation/execution.md, each by a fault; and each guard taken out: the damage shows.

A crash is played by an exception that nothing catches, a stalled worker by an attempt that goes on after its lease.
The same with real processes and kill -9 is in tests/services/.
"""

import json
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from agents.checkpoints import fenced_saver, tables
from agents.maintenance import sweeper
from agents.models import Attempt, Interrupt, Task, ToolCall
from agents.policy import Declaration, Terms, Verdict
from agents.runtime.gate.passage import Passage
from agents.runtime.runner import advance
from agents.state import interrupts, model_calls, statements, tasks, tool_calls
from agents.worker import jobs
from reviews.decisions.services import Choice, decide
from tests.support.concurrency import in_threads
from tests.support.helpers import again, answer_of, open_review, resume
from tests.support.oracle import Crash, calls, keys

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle")]


def approve(review: Interrupt, reviewer: Any) -> None:
    decide(review.pk, reviewer, Choice("accept"))


def crash(work: Any) -> None:
    with pytest.raises(Crash):
        work()


def lapse_all(published: list[Any]) -> None:
    """The lease of every dead worker runs out and the sweeper comes by."""
    Attempt.objects.filter(ended_at=None).update(lease_until="2020-01-01T00:00:00Z")
    sweeper.lapse_leases()


@pytest.fixture
def crashed(invoke: Any, work: Any, reviewer: Any, published: list[Any]) -> Task:
    """A task whose worker died inside an approved call, after the effect, and whose lease has lapsed."""
    task = invoke('call charge_and_crash with {"amount": 3}')
    work()
    approve(open_review(task), reviewer)
    crash(work)
    lapse_all(published)
    return again(task)


# 1 An accepted task reaches a final status.


def test_1_a_task_whose_job_is_lost_is_published_again(invoke: Any, work: Any, published: list[Any]) -> None:
    task = invoke("multiply 6 by 7")
    published.clear()
    Task.objects.update(published_at="2020-01-01T00:00:00Z")
    sweeper.republish_lost()
    work()
    assert "42" in answer_of(task)


def test_1_a_task_whose_worker_died_is_taken_over(
    invoke: Any, work: Any, published: list[Any], monkeypatch: Any
) -> None:
    task = invoke("multiply 6 by 7")
    with monkeypatch.context() as patch:
        patch.setattr(tool_calls, "close", lambda *args: (_ for _ in ()).throw(Crash()))
        crash(work)
    lapse_all(published)
    work()
    assert "42" in answer_of(task)


def test_1_control_without_the_sweeper_it_stays_pending(invoke: Any, work: Any, published: list[Any]) -> None:
    task = invoke("multiply 6 by 7")
    published.clear()
    work()
    assert again(task).status == "pending"


def test_1_a_task_that_kills_its_worker_each_time_becomes_an_error(
    invoke: Any, work: Any, published: list[Any], monkeypatch: Any
) -> None:
    task = invoke("multiply 6 by 7")
    monkeypatch.setattr(Passage, "go", lambda self: (_ for _ in ()).throw(Crash()))
    for _ in range(3):
        crash(work)
        lapse_all(published)
    assert again(task).status == "error"
    assert "3 times in a row" in again(task).message


# 2 A stale attempt can write nothing.


@pytest.fixture
def stalled(invoke: Any, work: Any, reviewer: Any, published: list[Any]) -> Attempt:
    """An attempt that was claimed and then stalled; another one has taken the task over and paused it."""
    task = invoke("book the Ritz for 2 nights")
    attempt = tasks.claim(task.pk, "stalled")
    assert attempt is not None
    published.clear()
    lapse_all(published)
    work()
    assert again(task).status == "interrupted"
    return attempt


def test_2_a_stale_attempt_can_not_change_the_task(stalled: Attempt) -> None:
    for write in (lambda: tasks.finish(stalled, {"messages": []}), lambda: tasks.fail(stalled, "no")):
        with pytest.raises(tasks.StaleAttempt):
            write()
    assert again(stalled.task).status == "interrupted"


def test_2_control_without_the_token_it_could(stalled: Attempt, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        tasks,
        "_held",
        lambda attempt: Task(pk=attempt.task_id, session_id=attempt.task.session_id, status="running"),
    )
    monkeypatch.setattr(statements, "_CONCLUDE", statements._CONCLUDE.replace("token = %s", "%s > 0"))
    Task.objects.update(status="running")
    tasks.fail(stalled, "damage")
    assert again(stalled.task).message == "damage"


def test_2_a_stale_attempt_can_not_enter_a_call(stalled: Attempt) -> None:
    with pytest.raises(tasks.StaleAttempt):
        tool_calls.enter(stalled, tool_calls.Entry("m", "c", "charge", "{}", "d"))
    assert not ToolCall.objects.exists()


def test_2_a_stale_attempt_can_not_write_a_checkpoint(stalled: Attempt, event: Any) -> None:
    head = tables.newest(stalled.task_id)
    with pytest.raises(tasks.StaleAttempt):
        advance(stalled, event)
    assert tables.newest(stalled.task_id) == head


def test_2_control_without_the_fence_its_checkpoint_becomes_the_head(
    stalled: Attempt, event: Any, monkeypatch: Any
) -> None:
    head = tables.newest(stalled.task_id)

    @contextmanager
    def unfenced(attempt: Attempt, events_of: Any = None) -> Any:
        if connection.vendor == "postgresql":
            yield PostgresSaver(fenced_saver._pool())
            return
        with closing(fenced_saver._sqlite()) as conn:
            yield SqliteSaver(conn)

    monkeypatch.setattr(fenced_saver, "saver_of", unfenced)
    any_attempt = {name: sql.replace("AND ended_at IS NULL", "") for name, sql in model_calls._ENTER_OF_RUN.items()}
    monkeypatch.setattr(model_calls, "_ENTER_OF_RUN", any_attempt)  # else it would not even ask its model
    tables.forget([stalled.task.pk])
    advance(stalled, event)
    assert tables.newest(stalled.task_id) not in ("", head)


# 3 A tool call runs at most once.


def test_3_a_call_whose_worker_died_in_it_is_in_doubt_and_not_run_again(crashed: Task, work: Any) -> None:
    work()
    review = open_review(crashed)
    assert (review.kind, review.tool) == ("in_doubt", "charge_and_crash")
    assert calls() == ["charge_and_crash 3"]


def test_3_control_without_the_ledger_it_runs_twice(crashed: Task, work: Any) -> None:
    ToolCall.objects.all().delete()
    work()
    assert calls() == ["charge_and_crash 3"] * 2


@pytest.mark.parametrize(
    ("choice", "count", "told"),
    [
        (Choice("accept"), 2, "charged 3"),
        (Choice("response", "the bank has it"), 1, "the bank has it"),
        (Choice("reject", message="never mind"), 1, "never mind"),
    ],
)
def test_3_a_person_says_what_became_of_it(
    crashed: Task, work: Any, reviewer: Any, choice: Choice, count: int, told: str
) -> None:
    work()
    decide(open_review(crashed).pk, reviewer, choice)
    work()
    assert told in json.dumps(again(crashed).result)
    assert len(calls()) == count
    assert len(set(keys())) == 1, "the same idempotency key each time"


def test_3_a_stale_attempt_closes_its_own_row_and_the_doubt(crashed: Task, work: Any) -> None:
    work()
    row = ToolCall.objects.get()
    tool_calls.close(row, ToolCall.Status.SUCCEEDED, json.dumps({"content": "charged after all", "status": "success"}))
    assert again(crashed).status == "pending"
    work()
    assert "charged after all" in answer_of(crashed)
    assert len(calls()) == 1


# 4 An error that does not say what happened is a doubt too.


def test_4_a_reviewed_tool_that_times_out_is_in_doubt(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call charge_and_time_out with {"amount": 3}')
    work()
    approve(open_review(task), reviewer)
    work()
    assert open_review(task).kind == "in_doubt"
    assert calls() == ["charge_and_time_out 3"]


def test_4_a_tool_that_says_it_did_not_happen_is_not(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call charge_and_refuse with {"amount": 3}')
    work()
    approve(open_review(task), reviewer)
    work()
    assert "the card is blocked" in answer_of(task)
    assert ToolCall.objects.get().status == ToolCall.Status.FAILED


# 5 What was approved is what runs.


@pytest.fixture
def approved(invoke: Any, work: Any, reviewer: Any) -> Task:
    task = invoke('call charge with {"amount": 3}')
    work()
    approve(open_review(task), reviewer)
    return task


@pytest.mark.parametrize("column", ["args_text", "verdict_text", "tool"])
def test_5_a_call_altered_after_its_approval_does_not_run(approved: Task, work: Any, column: str) -> None:
    row = Interrupt.objects.get()
    altered = {
        "args_text": '{"amount":3000.0}',
        "verdict_text": row.verdict_text.replace("medium", "low"),
        "tool": "free_charge",
    }
    Interrupt.objects.update(**{column: altered[column]})
    work()
    assert again(approved).status == "error"
    assert calls() == []


def test_5_control_without_the_digest_it_does(approved: Task, work: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(Passage, "prove", lambda *args: None)
    Interrupt.objects.update(args_text='{"amount":3000.0}')
    work()
    assert calls() == ["charge 3000"]


def test_5_the_arguments_run_to_the_last_digit(invoke: Any, work: Any, reviewer: Any, published: Any) -> None:
    task = invoke('call charge with {"amount": -0.0}')
    work()
    approve(open_review(task), reviewer)
    work()
    assert calls() == ["charge -0"]


def test_5_an_approval_is_good_for_its_time_only(approved: Task, work: Any) -> None:
    Interrupt.objects.update(answered_at="2020-01-01T00:00:00Z")
    work()
    assert open_review(approved).round == 1
    assert calls() == []


# 6 A decision is stored before anything resumes.


def test_6_a_crash_right_after_the_approval_never_asks_again(
    approved: Task, work: Any, published: list[Any], monkeypatch: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tool_calls, "enter", lambda *args: (_ for _ in ()).throw(Crash()))
        crash(work)
    lapse_all(published)
    work()
    assert "charged 3" in answer_of(approved)
    assert Interrupt.objects.count() == 1
    assert calls() == ["charge 3"]


def test_6_an_answer_whose_wake_up_was_lost_is_found_by_the_sweeper(approved: Task, work: Any, published: Any) -> None:
    published.clear()
    Task.objects.update(status="interrupted")
    sweeper.wake_answered()
    work()
    assert calls() == ["charge 3"]


# 7 A repeated anything has no effect.


def test_7_a_repeated_resume_has_no_effect(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    assert [resume(api, task).status_code for _ in range(3)] == [202] * 3
    work()
    assert resume(api, task).status_code == 202
    work()
    assert ToolCall.objects.count() == 1


def test_7_each_message_delivered_ten_times(approved: Task, published: list[Any], work: Any) -> None:
    published.extend(published * 9)
    work()
    assert calls() == ["charge 3"]


def test_7_ten_workers_with_the_same_job(approved: Task, published: list[Any], work: Any) -> None:
    in_threads(10, lambda number: jobs.run(str(approved.pk)))
    published.clear()
    assert calls() == ["charge 3"]
    assert again(approved).status == "completed"


def test_7_two_reviewers_at_once_decide_once(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call charge with {"amount": 3}')
    work()
    pk = open_review(task).pk
    given = in_threads(2, lambda number: decide(pk, reviewer, Choice("reject", message=f"reason {number}")))
    assert sorted(type(one).__name__ for one in given) == ["AlreadyDecided", "Review"]


def test_7_siblings_decided_at_once_leave_no_task_behind(invoke: Any, work: Any, api: Any, service: Any) -> None:
    found = [invoke("book the Ritz for 2 nights and book the Savoy for 1 night", session=f"s{n}") for n in range(5)]
    work()
    open_ = list(Interrupt.objects.values_list("pk", flat=True))
    in_threads(len(open_), lambda number: decide(open_[number], service, Choice("accept")))
    work()
    assert {again(task).status for task in found} == {"completed"}
    assert ToolCall.objects.filter(runs=1, status="succeeded").count() == 10


def test_7_the_database_itself_allows_one_active_task_a_session(invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    with pytest.raises(IntegrityError), transaction.atomic():
        Task.objects.create(session=task.session, task_id="second", position=2, query="x", status="pending")


def test_7_control_without_the_constraint_two_would_be_active(invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    constraint = next(c for c in Task._meta.constraints if c.name == "one_active_task_per_session")
    with connection.schema_editor() as editor:
        editor.remove_constraint(Task, constraint)
    try:
        Task.objects.create(session=task.session, task_id="second", position=2, query="x", status="pending")
        assert Task.objects.filter(status="pending").count() == 2
    finally:
        Task.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(Task, constraint)


# 8 Cancelling is immediate; 9 nothing is dropped silently.


def test_8_a_cancelled_task_voids_its_attempt_and_closes_its_questions(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    response = api.post("/agent/cancel", {"user_id": "ann", "session_id": "s1", "task_id": task.task_id})
    assert (response.status_code, response.json()["status"]) == (202, "cancelled")
    assert Interrupt.objects.get().status == "cancelled"
    assert resume(api, task).status_code == 409


def test_8_a_run_that_is_cancelled_under_way_writes_nothing_more(invoke: Any, event: Any) -> None:
    task = invoke("multiply 6 by 7")
    attempt = tasks.claim(task.pk, "w")
    assert attempt is not None
    tasks.cancel(task)
    with pytest.raises(tasks.StaleAttempt):
        advance(attempt, event)
    assert tables.newest(task.pk) == ""


def test_9_a_task_that_ended_early_stays_out_of_the_conversation(invoke: Any, work: Any, api: Any) -> None:
    first = invoke("book the Ritz for 2 nights")
    work()
    tasks.cancel(first)
    task = invoke("what did I ask before")
    work()
    assert "Ritz" not in answer_of(task)


def test_a_policy_that_changes_while_a_call_waits_releases_nothing(
    invoke: Any, work: Any, reviewer: Any, monkeypatch: Any
) -> None:
    task = invoke('call charge with {"amount": 3} and call charge with {"amount": 4}')
    work()
    monkeypatch.setattr("reviews.policy.engine.assess", lambda call: Verdict("allow", "changed", Terms()))
    first = Interrupt.objects.order_by("args_text").first()
    assert first is not None
    decide(first.pk, reviewer, Choice("reject", message="no"))
    work()
    assert calls() == []
    assert again(task).status == "interrupted"


@pytest.mark.parametrize("declaration", [Declaration(review=None), Declaration(review=None, idempotent=True)])
def test_a_declaration_that_changes_while_a_call_waits_releases_nothing(
    invoke: Any, work: Any, reviewer: Any, monkeypatch: Any, declaration: Declaration
) -> None:
    invoke('call charge with {"amount": 3} and call charge with {"amount": 4}')
    work()
    monkeypatch.setattr("agents.runtime.gate.execution.declaration_of", lambda tool: declaration)
    decide(Interrupt.objects.order_by("args_text")[0].pk, reviewer, Choice("reject", message="no"))
    work()
    assert calls() == []


def test_a_call_in_doubt_is_not_released_by_a_declaration_either(
    crashed: Task, work: Any, monkeypatch: Any, published: Any
) -> None:
    work()
    monkeypatch.setattr(
        "agents.runtime.gate.execution.declaration_of", lambda tool: Declaration(review=None, idempotent=True)
    )
    Task.objects.update(status="pending")
    published.append(crashed.pk)
    work()
    assert len(calls()) == 1
    assert open_review(crashed).kind == "in_doubt"


def test_an_answered_digest_is_over_task_tool_arguments_and_verdict() -> None:
    parts: list[str] = ["t", "tool", "{}", "v"]
    base = interrupts.digest_of(*parts)
    changed = [interrupts.digest_of(*[*parts[:i], "other", *parts[i + 1 :]]) for i in range(4)]
    assert base not in changed
    assert len(set(changed)) == 4
