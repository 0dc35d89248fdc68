"""Each status of an interrupt, each function that writes one: it makes just the change of the table, or none at all."""

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents import services, signals
from agents.models import Attempt, Interrupt, Task, ToolCall
from agents.policy import ResponseType
from agents.state import interrupts, tasks, tool_calls
from agents.state.transitions import INTERRUPT, targets
from core.db.clock import seconds_from_now
from reviews.decisions.services import expire
from reviews.models import Decision
from tests.support.concurrency import in_threads
from tests.support.rows import LONG_AGO, SET, answered, differences, make_old, picture, question

pytestmark = pytest.mark.django_db(transaction=True)

Status = Interrupt.Status
Columns = dict[str, Any]
ANSWERS = (Status.APPROVED, Status.EDITED, Status.RESPONDED, Status.REJECTED, Status.EXPIRED)  # not CANCELLED
TYPES: dict[str, ResponseType] = {
    "approved": "accept",
    "edited": "edit",
    "responded": "response",
    "rejected": "reject",
    "expired": "reject",
}
BY_ITSELF = {"answer_type": "response", "answer_message": interrupts.CLOSED_BY_ITSELF, "answered_by": "system"}
NOTHING: Columns = {}
USED: Columns = {"used_at": SET}
MOVED: Columns = {"graph_id": "moved"}


def to(status: Status, **columns: Any) -> Columns:
    """What a change of the status writes: the version grows by one with each."""
    return {"status": status.value, "version": 2, **columns}


def resolved(status: Status) -> Columns:
    return to(status, answer_type=TYPES[status], answered_by="rita", answered_at=SET)


TIMED_OUT = to(
    Status.EXPIRED,
    answer_type="reject",
    answered_by="system",
    answered_at=SET,
    answer_message="nobody decided it in time",
)

# What the function writes in an interrupt that is pending, and in one that is approved, edited, …: each answered one
# alike. In the last place what it writes in one that was cancelled.
TABLE: dict[str, tuple[Columns, Columns, Columns]] = {
    #                     pending                 answered  cancelled
    "store":             (NOTHING,                NOTHING,  NOTHING),
    "store, moved":      (MOVED,                  MOVED,    MOVED),
    "resolve approved":  (resolved(Status.APPROVED),  NOTHING, NOTHING),
    "resolve edited":    (resolved(Status.EDITED),    NOTHING, NOTHING),
    "resolve responded": (resolved(Status.RESPONDED), NOTHING, NOTHING),
    "resolve rejected":  (resolved(Status.REJECTED),  NOTHING, NOTHING),
    "resolve expired":   (resolved(Status.EXPIRED),   NOTHING, NOTHING),
    "resolve_ended":     (to(Status.RESPONDED, **BY_ITSELF, answered_at=SET), NOTHING, NOTHING),
    "cancel_open":       (to(Status.CANCELLED),   NOTHING,  NOTHING),
    "use":               (USED,                   USED,     USED),
    "use_all_but":       (NOTHING,                USED,     NOTHING),
    "use_all_but it":    (NOTHING,                NOTHING,  NOTHING),
    "expire":            (TIMED_OUT,              NOTHING,  NOTHING),
}  # fmt: skip
CASES = [
    (status, writer, row[0 if status == Status.PENDING else 2 if status == Status.CANCELLED else 1])
    for writer, row in TABLE.items()
    for status in Status
]
READS = {"asked_before", "was_edited", "agreed_terms", "is_stale", "has_lost_decider", "is_closed_by_itself", "overdue"}
MAKES = {"digest_of", "payload", "graph_id", "from_payload"}  # of what is not stored


@dataclass
class World:
    """A task whose run asked about a call in doubt, and that question."""

    task: Task
    attempt: Attempt  # which is over
    call: ToolCall
    asked: Interrupt


def answering(status: Status) -> Callable[[World], bool]:
    return lambda world: interrupts.resolve(world.asked, interrupts.Answer(TYPES[status], status, "rita"))


WRITERS: dict[str, Callable[[World], Any]] = {
    "store": lambda world: interrupts.store(doubt(world.task))[1],
    "store, moved": lambda world: interrupts.store(doubt(world.task, graph_id="moved"))[1],
    **{f"resolve {status}": answering(status) for status in ANSWERS},
    "resolve_ended": lambda world: interrupts.resolve_ended(world.call) is not None,
    "cancel_open": lambda world: interrupts.cancel_open(world.task),
    "use": lambda world: interrupts.use(world.asked),
    "use_all_but": lambda world: interrupts.use_all_but(world.task, []),
    "use_all_but it": lambda world: interrupts.use_all_but(world.task, [world.asked]),
    "expire": lambda world: expire(),
}


def doubt(task: Task, call_id: str = "call", **more: Any) -> Interrupt:
    fields = {"expires_at": seconds_from_now(600), **more}
    asked = question(task, call_id, "in_doubt")
    for name, value in fields.items():
        setattr(asked, name, value)
    return asked


def started(user: User, name: str = "task") -> tuple[Task, Attempt, ToolCall]:
    """A task that is running, and in it a call."""
    task = services.submit(services.Submission("ann", "x", f"s-{name}", name), user)
    attempt = tasks.claim(task.pk, "worker")
    assert attempt is not None
    return task, attempt, tool_calls.enter(attempt, tool_calls.Entry("m", "call", "charge", "{}", "d"))


def bring(user: User, status: str) -> World:
    """Bring the question into the status, by what leads there."""
    task, attempt, call = started(user)
    tasks.interrupt(attempt, [doubt(task)])
    asked = Interrupt.objects.select_related("task").get()
    if status in (Status.APPROVED, Status.EDITED, Status.RESPONDED, Status.REJECTED):
        services.answer(asked, answered(asked, status))
    elif status == Status.EXPIRED:
        Interrupt.objects.update(expires_at=LONG_AGO)
        assert expire() == 1
    elif status == Status.CANCELLED:
        tasks.cancel(task)
    make_old()  # from now on it is overdue
    asked = Interrupt.objects.select_related("task").get()
    assert asked.status == status
    return World(asked.task, attempt, call, asked)


@pytest.mark.parametrize(
    ("status", "writer", "columns"),
    [case for case in CASES if case[2]],
    ids=[f"{status}-{name.replace(' ', '_')}" for status, name, columns in CASES if columns],
)
def test_it_writes_what_the_table_says_and_nothing_else(
    reviewer: User, status: Status, writer: str, columns: Columns
) -> None:
    world = bring(reviewer, status)
    before = picture(Interrupt)
    result = WRITERS[writer](world)
    assert differences(before, picture(Interrupt)) == {("Interrupt", world.asked.pk): columns}
    assert result is told(writer, wrote=True)


@pytest.mark.parametrize("status", Status)
def test_where_the_table_says_nothing_it_writes_nothing(reviewer: User, status: Status) -> None:
    """One writer after the other on the same row, which none of them changes."""
    world = bring(reviewer, status)
    before = picture(Interrupt)
    quiet = [writer for in_status, writer, columns in CASES if in_status == status and not columns]
    assert len(quiet) >= 3
    for writer in quiet:
        result = WRITERS[writer](replace(world, asked=Interrupt.objects.select_related("task").get()))
        assert differences(before, picture(Interrupt)) == {}, writer
        assert result is told(writer, wrote=False), writer


def told(writer: str, *, wrote: bool) -> bool | int | None:
    """What the writer returns."""
    if writer.startswith("resolve"):
        return wrote
    if writer.startswith("store"):
        return False  # it was there before
    return int(wrote) if writer == "expire" else None


@pytest.mark.parametrize("status", [status for status in Status if status != Status.PENDING])
def test_what_is_final_stays_so_whatever_is_called_in_whatever_order(reviewer: User, status: Status) -> None:
    world = bring(reviewer, status)
    said = ("status", "version", "answer_type", "answer_message", "answered_by", "answered_at")
    before = Interrupt.objects.values(*said).get()
    assert before["version"] == 2
    for writer in [*WRITERS, *reversed(WRITERS)]:
        WRITERS[writer](world)
        world.asked = Interrupt.objects.select_related("task").get()
        assert Interrupt.objects.values(*said).get() == before, writer


@pytest.mark.parametrize("first", ANSWERS)
def test_of_two_answers_the_second_loses(reviewer: User, first: Status) -> None:
    world = bring(reviewer, "pending")
    as_it_was = copy(world.asked)  # as the second saw it
    assert WRITERS[f"resolve {first}"](world)
    before = picture(Interrupt)
    for second in ANSWERS:
        for seen in (world.asked, copy(as_it_was), Interrupt.objects.get()):
            assert not interrupts.resolve(seen, interrupts.Answer(TYPES[second], second, "bob")), second
        assert differences(before, picture(Interrupt)) == {}, second
    assert Interrupt.objects.get().answered_by == "rita"


def test_of_ten_answers_at_once_one_is_stored(reviewer: User) -> None:
    world = bring(reviewer, "pending")
    gave = in_threads(
        10, lambda number: interrupts.resolve(world.asked, interrupts.Answer("accept", "approved", f"r{number}"))
    )
    assert sorted(gave) == [False] * 9 + [True]
    row = Interrupt.objects.get()
    assert (row.version, row.answered_by) == (2, f"r{gave.index(True)}")


def test_an_answer_to_another_version_than_is_stored_is_not_stored(reviewer: User) -> None:
    world = bring(reviewer, "pending")
    for version in (0, 2, 3):
        world.asked.version = version
        assert not WRITERS["resolve approved"](world)
    assert Interrupt.objects.get().status == "pending"
    world.asked.version = 1
    assert WRITERS["resolve approved"](world)


@pytest.mark.parametrize("now", ["pending", "approved", "cancelled"])
def test_a_status_that_no_answer_leads_to_is_an_error(reviewer: User, now: str) -> None:
    world = bring(reviewer, now)
    before = picture(Interrupt)
    for status in ("pending", "", "started", "succeeded", "completed", "error", "APPROVED", "accept"):
        with pytest.raises(ValueError, match="makes no interrupt"):
            interrupts.resolve(world.asked, interrupts.Answer("accept", status, "rita"))
        assert differences(before, picture(Interrupt)) == {}, status


def test_each_part_of_an_answer_is_stored(reviewer: User) -> None:
    world = bring(reviewer, "pending")
    before = picture(Interrupt)
    given = interrupts.Answer("edit", "edited", "rita", '{"amount":2}', '{"action":"review"}', "d" * 64, "less")
    assert interrupts.resolve(world.asked, given)
    assert differences(before, picture(Interrupt))["Interrupt", world.asked.pk] == to(
        Status.EDITED,
        answer_type="edit",
        answer_args_text='{"amount":2}',
        answer_verdict_text='{"action":"review"}',
        answer_digest="d" * 64,
        answer_message="less",
        answered_by="rita",
        answered_at=SET,
    )


# A new question.


@pytest.mark.parametrize("end", ["succeeded", "failed", "taken back"])
def test_a_doubt_about_a_call_that_has_ended_gets_its_answer_at_once(reviewer: User, end: str) -> None:
    task, attempt, call = started(reviewer)
    if end == "taken back":
        tool_calls.take_back(call)
    else:
        assert tool_calls.close(call, end, "{}")
    told: list[Any] = []

    def note(reviews: list[Interrupt], **more: Any) -> None:
        told.extend(reviews)

    signals.reviews_asked.connect(note)
    assert tasks.interrupt(attempt, [doubt(task)]) == "pending"
    signals.reviews_asked.disconnect(note)
    row = Interrupt.objects.get()
    assert {name: getattr(row, name) for name in BY_ITSELF} == BY_ITSELF
    assert (row.status, row.version, row.used_at) == ("responded", 1, None)
    assert row.answered_at is not None
    assert interrupts.is_closed_by_itself(row)
    assert told == [], "there is nothing to decide"


@pytest.mark.parametrize("kind", ["tool_call", "question", "in_doubt"])
def test_while_the_call_is_open_a_question_is_open(reviewer: User, kind: str) -> None:
    task, _, _ = started(reviewer)
    row, made = interrupts.store(question(task, "call", kind))
    assert made
    assert (row.status, row.version, row.answered_at, row.answered_by) == ("pending", 1, None, "")
    assert Interrupt.objects.get(pk=row.pk).status == "pending"


@pytest.mark.parametrize("kind", ["tool_call", "question"])
def test_only_a_doubt_is_answered_by_the_end_of_its_call(reviewer: User, kind: str) -> None:
    task, _, call = started(reviewer)
    assert tool_calls.close(call, "succeeded", "{}")
    row, _ = interrupts.store(question(task, "call", kind))
    assert not interrupts.resolve_ended(call)
    assert Interrupt.objects.get(pk=row.pk).status == "pending"


def test_a_call_of_the_same_id_elsewhere_answers_no_doubt(reviewer: User) -> None:
    task, _, _ = started(reviewer)
    _, _, other = started(reviewer, "other")
    assert tool_calls.close(other, "succeeded", "{}")
    row, _ = interrupts.store(doubt(task))
    assert not interrupts.resolve_ended(other)
    assert Interrupt.objects.get(pk=row.pk).status == "pending"


@pytest.mark.parametrize("column", ["message_id", "tool_call_id", "kind", "round"])
def test_another_key_is_another_question(reviewer: User, column: str) -> None:
    world = bring(reviewer, "rejected")
    again = doubt(world.task)
    setattr(again, column, {"round": 1, "kind": "tool_call"}.get(column, "another"))
    row, made = interrupts.store(again)
    assert made
    assert row.pk != world.asked.pk
    assert Interrupt.objects.get(pk=world.asked.pk).status == "rejected"


def test_of_ten_runs_that_store_it_at_once_one_makes_it(reviewer: User) -> None:
    task, _, _ = started(reviewer)
    gave = in_threads(10, lambda number: interrupts.store(doubt(task)))
    assert sorted(made for _, made in gave) == [False] * 9 + [True]
    assert {row.pk for row, _ in gave} == {Interrupt.objects.get().pk}


def test_what_is_stored_again_keeps_what_a_person_has_seen(reviewer: User) -> None:
    world = bring(reviewer, "pending")
    before = picture(Interrupt)
    again = doubt(world.task, args_text='{"amount":9}', args_digest="another", tool="refund", description="other")
    row, made = interrupts.store(again)
    assert not made
    assert (row.args_text, row.tool) == ("{}", "charge")
    assert differences(before, picture(Interrupt)) == {}


# What is overdue.

OVERDUE: list[tuple[str, Columns, bool]] = [
    ("its time is up", {"expires_at": LONG_AGO}, True),
    ("its time is not up", {"expires_at": seconds_from_now(600)}, False),
    ("it has all the time", {"expires_at": None}, False),
    ("it waits all the same", {"expires_at": LONG_AGO, "on_expiry": "wait"}, False),
]


@pytest.mark.parametrize(("columns", "due"), [row[1:] for row in OVERDUE], ids=[row[0] for row in OVERDUE])
def test_what_is_overdue_expires_and_wakes_its_task(reviewer: User, columns: Columns, due: bool) -> None:
    world = bring(reviewer, "pending")
    Interrupt.objects.update(**columns)
    assert interrupts.overdue().exists() == due
    assert expire() == due
    assert Interrupt.objects.get().status == ("expired" if due else "pending")
    assert Task.objects.get().status == ("pending" if due else "interrupted")
    assert list(Decision.objects.values_list("review_id", "response_type", "by_name", "by")) == (
        [(world.asked.pk, "reject", "system", None)] if due else []
    )
    assert expire() == 0


def test_of_ten_that_expire_it_at_once_one_does(reviewer: User) -> None:
    bring(reviewer, "pending")
    assert sorted(in_threads(10, lambda number: expire())) == [0] * 9 + [1]
    assert Decision.objects.count() == 1


def test_of_many_only_those_that_are_overdue_expire(reviewer: User) -> None:
    task, attempt, _ = started(reviewer)
    tasks.interrupt(attempt, [question(task, f"call{number}") for number in range(6)])
    late = ["call1", "call4"]
    Interrupt.objects.filter(tool_call_id__in=late).update(expires_at=LONG_AGO)
    assert expire() == 2
    assert sorted(Interrupt.objects.filter(status="expired").values_list("tool_call_id", flat=True)) == late
    assert Interrupt.objects.filter(status="pending", version=1).count() == 4


# The table itself.


def test_the_table_has_every_status_with_every_writer() -> None:
    assert len(CASES) == len(Status) * len(WRITERS)
    assert TABLE.keys() == WRITERS.keys()
    here = {
        name
        for name, found in inspect.getmembers(interrupts, inspect.isfunction)
        if found.__module__ == interrupts.__name__ and not name.startswith("_")
    }
    named = {name.replace(",", "").split()[0] for name in WRITERS} - {"expire"}
    assert here == named | READS | MAKES


def test_every_change_that_is_possible_is_made_by_a_writer_and_no_other_one() -> None:
    made = {(str(status), columns["status"]) for status, _, columns in CASES if "status" in columns}
    new = {("", status) for status in targets(INTERRUPT, "")}
    assert made | new == {(one.source, one.target) for one in INTERRUPT}
    assert targets(INTERRUPT, "") == {"pending", "responded"}
