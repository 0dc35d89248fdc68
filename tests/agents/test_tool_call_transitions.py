"""Each state of a row in the ledger, each function that writes one, by an attempt that is open and by one that is over.

It makes just the change of the table, or none at all: also in the task and in the questions about the call.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from agents import services
from agents.models import Attempt, Interrupt, Pause, Task, ToolCall
from agents.pauses import OnHold
from agents.state import interrupts, tasks, tool_calls
from agents.state.tasks import StaleAttempt
from agents.state.tool_calls import Entry, RuleLapsed
from agents.state.transitions import TOOL_CALL
from reviews.models import AuditEntry, PolicyRule
from tests.support.concurrency import in_threads
from tests.support.rows import SET, answered, differences, make_old, picture, question

pytestmark = pytest.mark.django_db(transaction=True)

Columns = dict[str, Any]
ENTRY = Entry("m", "call", "charge", "{}", "d")
DONE = '{"content": "charged", "status": "success"}'
GONE: Columns = {}
CLOSED: Columns = {"status": "succeeded", "result_text": DONE, "finished_at": SET}
SURE: Columns = {**CLOSED, "doubtful": False}  # it was in doubt
RAN_AGAIN: Columns = {"runs": 2, "attempt_id": "its own"}
RAN_AGAIN_SURE: Columns = {**RAN_AGAIN, "doubtful": False}
BY_ITSELF: Columns = {
    "status": "responded",
    "version": 2,
    "answer_type": "response",
    "answer_message": interrupts.CLOSED_BY_ITSELF,
    "answered_by": "system",
    "answered_at": SET,
}
WOKEN: Columns = {"status": "pending", "published_at": SET, "updated_at": SET}


@dataclass(frozen=True)
class Does:
    """What is written, and what the function gives. A column that is not named stays as it was."""

    call: Columns | None = None  # None: nothing; GONE: the row is deleted
    gives: Any = None
    ends_doubt: bool = False  # the open question about the call is answered, and its task woken


SAYS_NO, LATE, IGNORED = Does(gives=StaleAttempt), Does(gives=False), Does()
TWICE = Does(gives=IntegrityError)
RUNS, CLOSES, SETTLES = Does(RAN_AGAIN, "row"), Does(CLOSED, True), Does(CLOSED)

# The states that a row can be in when a function is called with it, as its caller has read it:
#   started    by the attempt that calls, which is open
#   doubtful   the same, and its tool has raised an error that says nothing
#   left       by an attempt that is over; another one is open, which calls
#   late       the same, but the attempt that is over calls
#   asked      and the open attempt has asked about it since: none is open, the one that is over calls
#   again      the open attempt has run it again, and calls
#   overtaken  and the attempt before calls, with the row as it was then
#   succeeded, failed  closed by the attempt that calls, which is open
STATES = ("started", "doubtful", "left", "late", "asked", "again", "overtaken", "succeeded", "failed")
AGAIN = Does({"runs": 3}, "row")
TABLE: dict[str, tuple[Does, ...]] = {
    "enter": (TWICE, TWICE, TWICE, SAYS_NO, SAYS_NO, TWICE, SAYS_NO, TWICE, TWICE),
    "enter_again": (
        Does({"runs": 2}, "row"),
        Does({"runs": 2, "doubtful": False}, "row"),
        RUNS,
        SAYS_NO,
        SAYS_NO,
        AGAIN,
        SAYS_NO,
        SAYS_NO,
        SAYS_NO,
    ),
    "close": (
        CLOSES,
        CLOSES,
        CLOSES,
        CLOSES,
        Does(CLOSED, True, ends_doubt=True),
        CLOSES,
        LATE,
        LATE,
        LATE,
    ),
    "settle": (SETTLES, Does(SURE), SETTLES, SAYS_NO, SAYS_NO, SETTLES, SAYS_NO, IGNORED, IGNORED),
    "mark_doubtful": (
        Does({"doubtful": True}),
        IGNORED,
        Does({"doubtful": True}),
        Does({"doubtful": True}),
        Does({"doubtful": True}),
        Does({"doubtful": True}),
        IGNORED,
        IGNORED,
        IGNORED,
    ),
    "take_back": (  # an open question about it stays open: a person still answers it
        Does(GONE),
        Does(GONE),
        Does(GONE),
        Does(GONE),
        Does(GONE),
        Does({"runs": 1}),
        IGNORED,
        IGNORED,
        IGNORED,
    ),
}
CASES = [(state, writer, does) for writer, row in TABLE.items() for state, does in zip(STATES, row, strict=True)]


@dataclass
class World:
    """A call in the ledger, as its caller has read it, and the attempt that calls."""

    task: Task
    attempt: Attempt
    row: ToolCall


WRITERS: dict[str, Callable[[World], Any]] = {
    "enter": lambda world: tool_calls.enter(world.attempt, ENTRY),
    "enter_again": lambda world: tool_calls.enter_again(world.attempt, world.row),
    "close": lambda world: tool_calls.close(world.row, "succeeded", DONE),
    "settle": lambda world: tool_calls.settle(world.attempt, world.row, None, "succeeded", DONE),
    "mark_doubtful": lambda world: tool_calls.mark_doubtful(world.row),
    "take_back": lambda world: tool_calls.take_back(world.row),
}


def claimed(task: Task) -> Attempt:
    attempt = tasks.claim(task.pk, "worker")
    assert attempt is not None
    return attempt


def lapsed(attempt: Attempt) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(lease_until="2020-01-01T00:00:00Z")
    assert tasks.lapse(attempt, "c") == "pending"


def begun(user: User) -> Attempt:
    return claimed(services.submit(services.Submission("ann", "x", "s", "t"), user))


def bring(user: User, state: str) -> World:
    """Bring a call into the state, by what leads there."""
    first = attempt = begun(user)
    task = first.task
    row = tool_calls.enter(first, ENTRY)
    if state == "doubtful":
        tool_calls.mark_doubtful(row)
        row.refresh_from_db()
    elif state in ("succeeded", "failed"):
        as_entered = ToolCall.objects.get()
        assert tool_calls.close(as_entered, state, "before")
    elif state != "started":
        lapsed(first)
        attempt = claimed(task)
        if state == "asked":
            tasks.interrupt(attempt, [question(task, "call", "in_doubt")])
        if state in ("again", "overtaken"):
            again = tool_calls.enter_again(attempt, row)
            row = again if state == "again" else row
    make_old()
    return World(task, first if state in ("late", "asked", "overtaken") else attempt, row)


def done(write: Callable[[], Any]) -> Any:
    """What it gave, or the type of what it raised."""
    try:
        return write()
    except (StaleAttempt, IntegrityError, RuleLapsed, OnHold) as error:
        return type(error)


@pytest.mark.parametrize(("state", "writer", "does"), CASES, ids=[f"{state}-{writer}" for state, writer, _ in CASES])
def test_it_writes_what_the_table_says_and_nothing_else(reviewer: User, state: str, writer: str, does: Does) -> None:
    world = bring(reviewer, state)
    before = picture()
    gave = done(lambda: WRITERS[writer](world))
    expected: dict[tuple[str, Any], Columns] = {}
    if does.call is not None:
        own = {"attempt_id": world.attempt.pk} if "attempt_id" in does.call else {}
        expected["ToolCall", world.row.pk] = {**does.call, **own}
    if does.ends_doubt:
        expected["Interrupt", Interrupt.objects.get().pk] = BY_ITSELF
        expected["Task", world.task.pk] = WOKEN
    assert differences(before, picture()) == expected
    if does.gives == "row":
        assert gave.pk == world.row.pk
        assert (gave.runs, gave.attempt_id) == (world.row.runs + 1, world.attempt.pk)
    else:
        assert gave is does.gives


def test_the_table_has_every_writer_and_reaches_every_change_of_a_row() -> None:
    here = {
        name
        for name, found in inspect.getmembers(tool_calls, inspect.isfunction)
        if found.__module__ == tool_calls.__name__ and not name.startswith("_")
    }
    assert here == {*TABLE, "deny", "refuse", "key_of", "find"}
    assert TABLE.keys() == WRITERS.keys()
    made = set()
    for state, _, does in CASES:
        if does.call is not None:
            source = state if state in ("succeeded", "failed") else "started"
            made.add((source, "" if does.call == GONE else does.call.get("status", source)))
    failed = {("started", "failed")}  # as "succeeded", by the tests of `close` and `settle` with each status
    assert made | {("", "started")} | failed == {(one.source, one.target) for one in TOOL_CALL}


# Entering.


def test_a_call_is_entered_as_started_by_the_attempt_that_is_open(reviewer: User) -> None:
    attempt = begun(reviewer)
    before = picture()
    row = tool_calls.enter(attempt, ENTRY)
    ((key, written),) = differences(before, picture()).items()
    assert key == ("ToolCall", tool_calls.key_of(attempt.task_id, "m", "call"))
    assert key == ("ToolCall", row.pk)
    assert (written["status"], written["runs"], written["doubtful"]) == ("started", 1, False)
    assert (written["attempt_id"], written["reviewed"], written["result_text"]) == (attempt.pk, False, "")
    assert ToolCall.objects.get().finished_at is None
    assert tool_calls.find(attempt.task, "m", "call") == row


@pytest.mark.parametrize("what", ["over", "paused", "rule used up", "rule gone"])
def test_a_call_that_may_not_begin_is_not_entered_and_uses_no_answer(reviewer: User, what: str) -> None:
    attempt = begun(reviewer)
    approval = interrupts.store(question(attempt.task, "call"))[0]
    assert interrupts.resolve(approval, answered(approval))
    rule = PolicyRule.objects.create(name="r", tool="charge", effect="allow", use_limit=1, uses=1)
    rule_id = {"rule used up": rule.pk, "rule gone": rule.pk + 1}.get(what)
    if what == "over":
        lapsed(attempt)
    if what == "paused":
        Pause.objects.create(scope="tool", value="charge", by_name="rita")
    before = picture()
    gave = done(lambda: tool_calls.enter(attempt, Entry("m", "call", "charge", "{}", "d", approval, rule_id)))
    assert gave is {"over": StaleAttempt, "paused": OnHold}.get(what, RuleLapsed)
    assert differences(before, picture()) == {}
    assert PolicyRule.objects.get().uses == 1


def test_an_approved_call_uses_its_answer(reviewer: User) -> None:
    attempt = begun(reviewer)
    approval = interrupts.store(question(attempt.task, "call"))[0]
    assert interrupts.resolve(approval, answered(approval))
    before = picture(Interrupt)
    assert tool_calls.enter(attempt, Entry("m", "call", "charge", "{}", "d", approval)).reviewed
    assert differences(before, picture(Interrupt)) == {("Interrupt", approval.pk): {"used_at": SET}}


def test_a_rule_is_counted_once_and_given_back_with_the_call(reviewer: User) -> None:
    attempt = begun(reviewer)
    rule = PolicyRule.objects.create(name="r", tool="charge", effect="allow", use_limit=1)
    row = tool_calls.enter(attempt, Entry("m", "call", "charge", "{}", "d", rule_id=rule.pk))
    assert PolicyRule.objects.get().uses == 1
    for _ in range(2):  # the second time there is nothing left to take back
        tool_calls.take_back(row)
        assert PolicyRule.objects.get().uses == 0
    assert not ToolCall.objects.exists()
    assert tool_calls.enter(attempt, ENTRY).pk == row.pk, "the key is the same each time"


def test_a_call_that_has_ended_gives_no_use_of_its_rule_back(reviewer: User) -> None:
    attempt = begun(reviewer)
    rule = PolicyRule.objects.create(name="r", tool="charge", effect="allow", use_limit=1)
    row = tool_calls.enter(attempt, Entry("m", "call", "charge", "{}", "d", rule_id=rule.pk))
    assert tool_calls.close(row, "succeeded", DONE)
    tool_calls.take_back(row)
    assert PolicyRule.objects.get().uses == 1


def test_of_ten_that_enter_it_at_once_one_does(reviewer: User) -> None:
    attempt = begun(reviewer)
    gave = in_threads(10, lambda number: done(lambda: tool_calls.enter(attempt, ENTRY)))
    assert sum(isinstance(one, ToolCall) for one in gave) == 1
    assert gave.count(IntegrityError) == 9
    assert ToolCall.objects.get().runs == 1


# A second run.


def test_of_ten_that_run_it_again_at_once_one_does(reviewer: User) -> None:
    world = bring(reviewer, "left")
    gave = in_threads(10, lambda number: done(lambda: tool_calls.enter_again(world.attempt, world.row)))
    assert sum(isinstance(one, ToolCall) for one in gave) == 1
    assert gave.count(StaleAttempt) == 9
    assert ToolCall.objects.get().runs == 2


@pytest.mark.parametrize("what", ["over", "paused", "closed"])
def test_a_second_run_that_may_not_begin_uses_no_answer(reviewer: User, what: str) -> None:
    world = bring(reviewer, "late" if what == "over" else "left")
    told = interrupts.store(question(world.task, "call", "in_doubt"))[0]
    assert interrupts.resolve(told, answered(told))
    if what == "paused":
        Pause.objects.create(scope="everything", value="", by_name="rita")
    if what == "closed":
        assert tool_calls.close(world.row, "succeeded", DONE)
    before = picture()
    gave = done(lambda: tool_calls.enter_again(world.attempt, world.row, told))
    assert gave is (OnHold if what == "paused" else StaleAttempt)
    assert differences(before, picture()) == {}


@pytest.mark.parametrize("writer", ["enter_again", "settle"])
def test_what_a_person_said_about_a_doubt_is_used_with_it(reviewer: User, writer: str) -> None:
    world = bring(reviewer, "left")
    told = interrupts.store(question(world.task, "call", "in_doubt"))[0]
    assert interrupts.resolve(told, answered(told))
    before = picture()
    if writer == "settle":
        tool_calls.settle(world.attempt, world.row, told, "failed", "never mind")
        call: Columns = {"status": "failed", "result_text": "never mind", "finished_at": SET}
    else:
        tool_calls.enter_again(world.attempt, world.row, told)
        call = {"runs": 2, "attempt_id": world.attempt.pk}
    assert differences(before, picture()) == {
        ("ToolCall", world.row.pk): call,
        ("Interrupt", told.pk): {"used_at": SET},
    }


def test_a_second_run_that_is_taken_back_leaves_the_first(reviewer: User) -> None:
    world = bring(reviewer, "again")
    tool_calls.take_back(world.row)
    row = ToolCall.objects.get()
    assert (row.status, row.runs, row.attempt_id) == ("started", 1, world.attempt.pk)
    before = picture()
    tool_calls.take_back(world.row)  # it is not the run that is stored
    assert differences(before, picture()) == {}


# Its end.


@pytest.mark.parametrize("status", ["succeeded", "failed"])
@pytest.mark.parametrize("by", ["its attempt", "an attempt that is over", "a person"])
def test_it_ends_once_with_each_status(reviewer: User, status: str, by: str) -> None:
    world = bring(reviewer, {"its attempt": "started", "a person": "left"}.get(by, "asked"))
    if by == "a person":
        tool_calls.settle(world.attempt, world.row, None, status, "first")
    else:
        assert tool_calls.close(world.row, status, "first")
        assert (world.row.status, world.row.result_text) == (status, "first")
    row = ToolCall.objects.get()
    assert (row.status, row.result_text, row.doubtful) == (status, "first", False)
    before = picture()
    for other in ("succeeded", "failed"):
        assert not tool_calls.close(world.row, other, "second")
    assert differences(before, picture()) == {}
    assert (ToolCall.objects.get().status, ToolCall.objects.get().result_text) == (status, "first")


def test_of_ten_results_at_once_one_is_stored(reviewer: User) -> None:
    bring(reviewer, "asked")
    gave = in_threads(10, lambda number: tool_calls.close(ToolCall.objects.get(), "succeeded", f"r{number}"))
    assert gave.count(True) == 1
    assert ToolCall.objects.get().result_text == f"r{gave.index(True)}"
    assert Interrupt.objects.get().version == 2


def test_a_late_result_wakes_no_task_that_is_answered_or_over(reviewer: User) -> None:
    world = bring(reviewer, "asked")
    tasks.cancel(world.task)
    before = picture()
    assert tool_calls.close(world.row, "succeeded", DONE)
    assert differences(before, picture()) == {("ToolCall", world.row.pk): CLOSED}
    assert Interrupt.objects.get().status == "cancelled"


def test_a_late_result_of_a_task_that_is_deleted_is_dropped(reviewer: User) -> None:
    world = bring(reviewer, "asked")
    services.delete_task("ann", "s", "t")
    before = picture()
    assert not tool_calls.close(world.row, "succeeded", DONE)
    assert differences(before, picture()) == {}
    assert not ToolCall.objects.exists()


def test_a_late_result_ends_a_doubt_that_was_marked(reviewer: User) -> None:
    world = bring(reviewer, "asked")
    tool_calls.mark_doubtful(world.row)
    before = picture(ToolCall)
    assert tool_calls.close(world.row, "succeeded", DONE)
    assert differences(before, picture(ToolCall)) == {("ToolCall", world.row.pk): SURE}


# Calls that are not entered.


@pytest.mark.parametrize("record", [tool_calls.deny, tool_calls.refuse])
def test_a_denied_call_is_recorded_once_and_not_entered(reviewer: User, record: Callable[..., None]) -> None:
    attempt = begun(reviewer)
    before = picture()
    for _ in range(2):  # again after a crash
        record(attempt, ENTRY)
        entry = AuditEntry.objects.get(verb="denied")
        assert entry.object_id == str(tool_calls.key_of(attempt.task_id, "m", "call"))
        assert (entry.tool, entry.task) == ("charge", attempt.task_id)
    assert differences(before, picture()) == {}


@pytest.mark.parametrize("record", [tool_calls.deny, tool_calls.refuse])
@pytest.mark.parametrize("end", ["lapsed", "cancelled", "finished", "deleted"])
def test_an_attempt_that_is_over_records_no_denial(reviewer: User, record: Callable[..., None], end: str) -> None:
    attempt = begun(reviewer)
    match end:
        case "lapsed":
            lapsed(attempt)
        case "cancelled":
            tasks.cancel(attempt.task)
        case "finished":
            tasks.finish(attempt, {"messages": []})
        case _:
            services.delete_task("ann", "s", "t")
    entries = AuditEntry.objects.count()
    before = picture()
    with pytest.raises(StaleAttempt):
        record(attempt, ENTRY)
    assert differences(before, picture()) == {}
    assert AuditEntry.objects.count() == entries


# That nothing is written can be told.


@pytest.mark.parametrize("writer", ["enter_again", "settle"])
def test_control_without_the_fence_an_attempt_that_is_over_writes(
    reviewer: User, writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = bring(reviewer, "late")
    before = picture()
    assert done(lambda: WRITERS[writer](world)) is StaleAttempt
    assert differences(before, picture()) == {}
    monkeypatch.setattr(tasks, "require_open", lambda attempt: None)
    assert done(lambda: WRITERS[writer](world)) is not StaleAttempt
    assert ("ToolCall", world.row.pk) in differences(before, picture())


@pytest.mark.parametrize(
    ("column", "value"),
    [("status", "failed"), ("runs", 7), ("doubtful", True), ("attempt", None), ("result_text", "x")],
)
def test_control_each_column_that_is_written_shows(reviewer: User, column: str, value: Any) -> None:
    world = bring(reviewer, "started")
    before = picture()
    with transaction.atomic():
        ToolCall.objects.update(**{column: value})
    ((key, written),) = differences(before, picture()).items()
    assert key == ("ToolCall", world.row.pk)
    assert len(written) == 1
