"""Each status of a task, each function that writes one: it makes just the change of the table, or none at all.

The rows come from the functions that a client, a worker, a reviewer and the sweeper call. A change is compared with the
rows before it to the column: what is not expected is not written.
"""

import inspect
from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from agents import services, signals
from agents.models import ACTIVE, FINAL, INTERRUPT, ROLLBACK, UNFINISHED, Attempt, Interrupt, Pause, Status, Task
from agents.state import removal, tasks
from agents.state.tasks import StaleAttempt, TransitionLost
from agents.state.transitions import TASK, targets
from core.db import leases
from core.errors import NotFound
from tests.support.concurrency import in_threads
from tests.support.rows import SET, UNSET, Rows, answered, differences, make_old, picture, question

pytestmark = pytest.mark.django_db(transaction=True)

STATUSES = tuple(Status)
MORE = "more than before"  # of run_seconds
MOVED = {"updated_at": SET}  # with every change of the status
SPENT = {**MOVED, "run_seconds": MORE}  # with every end of an attempt
TO_PENDING = {"published_at": SET}
RESULT = {"messages": [{"role": "assistant", "content": "done"}]}
TOO_LONG = tasks.OVERRUN.format(limit=3600.0)
NO, SAME = None, "the task as it is"


@dataclass(frozen=True)
class To:
    """A change: the statuses that the task goes through, and everything that is written beside."""

    path: tuple[Status, ...]
    task: dict[str, Any]  # columns of the task beside its status
    outcome: str = ""  # of the attempt that ends
    token: int = 0  # of the attempt that begins
    questions: str = "kept"  # or "cancelled" (the open one), "asked" (a new one; the old answer is used up)
    starts_next: bool = False  # the task that is queued behind it


QUEUED, PENDING, RUNNING = Status.QUEUED, Status.PENDING, Status.RUNNING
INTERRUPTED, COMPLETED, ERROR, CANCELLED = Status.INTERRUPTED, Status.COMPLETED, Status.ERROR, Status.CANCELLED
CLAIMED = To((RUNNING,), {**MOVED, "token": 4, "published_at": UNSET}, token=4)
ASKED = To((INTERRUPTED,), {**SPENT, "lapses": 0}, "paused", questions="asked")
FINISHED = To((COMPLETED,), {**SPENT, "result": RESULT}, "finished", questions="cancelled", starts_next=True)
FAILED = To((ERROR,), {**SPENT, "message": "broken"}, "failed", questions="cancelled", starts_next=True)
TOOK_LONG = To((ERROR,), {**SPENT, "message": TOO_LONG}, "failed", questions="cancelled", starts_next=True)
RELEASED = To((PENDING,), {**SPENT, **TO_PENDING, "lapses": 0}, "released")
LAPSED = To((PENDING,), {**SPENT, **TO_PENDING, "lapses": 2}, "lapsed")
WOKEN = To((PENDING,), {**MOVED, **TO_PENDING})
VOIDED = To((CANCELLED,), SPENT, "voided", questions="cancelled", starts_next=True)
DROPPED = To((CANCELLED,), MOVED, questions="cancelled", starts_next=True)
LEFT = To((CANCELLED,), MOVED)  # out of the queue: it had asked nothing, and the session is still busy

# In each row what the writer does to a task that is queued, pending, running, … in the order of STATUSES.
TABLE: dict[str, tuple[Any, ...]] = {
    #             queued,       pending,      running,      interrupted,  completed,    error,        cancelled
    "claim":     (NO,           CLAIMED,      NO,           NO,           NO,           NO,           NO),
    "interrupt": (StaleAttempt, StaleAttempt, ASKED,        StaleAttempt, StaleAttempt, StaleAttempt, StaleAttempt),
    "finish":    (StaleAttempt, StaleAttempt, FINISHED,     StaleAttempt, StaleAttempt, StaleAttempt, StaleAttempt),
    "fail":      (StaleAttempt, StaleAttempt, FAILED,       StaleAttempt, StaleAttempt, StaleAttempt, StaleAttempt),
    "overrun":   (False,        False,        TOOK_LONG,    False,        False,        False,        False),
    "release":   (StaleAttempt, StaleAttempt, RELEASED,     StaleAttempt, StaleAttempt, StaleAttempt, StaleAttempt),
    "lapse":     (NO,           NO,           LAPSED,       NO,           NO,           NO,           NO),
    "wake":      (False,        False,        False,        WOKEN,        False,        False,        False),
    "cancel":    (LEFT,         DROPPED,      VOIDED,       DROPPED,      SAME,         SAME,         SAME),
    "promote":   (NO,           NO,           NO,           NO,           NO,           NO,           NO),
    "republish": (False,        To((), TO_PENDING), False,  False,        False,        False,        False),
}  # fmt: skip

NEW = To((RUNNING,), {**MOVED, "token": 1, "published_at": UNSET, "has_thread": True}, token=1)
TOOL_FREE = To((RUNNING,), {**MOVED, "token": 4, "published_at": UNSET, "held_tool": ""}, token=4)
PROMOTED = To((PENDING,), {**MOVED, **TO_PENDING})
AHEAD = To((CANCELLED,), MOVED, starts_next=True)
ANSWERED = To((PENDING,), {**SPENT, **TO_PENDING, "lapses": 0}, "paused")
HELD = To((PENDING,), {**SPENT, **TO_PENDING, "lapses": 0}, "held")
HELD_AT_TOOL = To((PENDING,), {**SPENT, **TO_PENDING, "lapses": 0, "held_tool": "charge"}, "held")
ASKED_HELD = To((INTERRUPTED,), {**SPENT, "lapses": 0, "held_tool": "charge"}, "paused", questions="asked")
WOKEN_HELD = To((PENDING,), {**MOVED, **TO_PENDING, "held_tool": ""})
LAPSED_ON = To((PENDING,), {**SPENT, **TO_PENDING, "last_checkpoint": "c2"}, "lapsed")  # it counts from 1 again
GIVEN_UP = To(
    (PENDING, ERROR),
    {**SPENT, **TO_PENDING, "lapses": 2, "message": tasks.POISON.format(count=2)},
    "lapsed",
    questions="cancelled",
    starts_next=True,
)

# Other ways to be in a status, or to call the writer: (status, what is special, writer, what it does).
SPECIAL: tuple[tuple[Status, str, str, Any], ...] = (
    (PENDING, "it never ran", "claim", NEW),
    (PENDING, "everything is paused", "claim", NO),
    (PENDING, "its agent is paused", "claim", NO),
    (PENDING, "its user is paused", "claim", NO),
    (PENDING, "another tool is paused", "claim", CLAIMED),
    (PENDING, "held before a paused tool", "claim", NO),
    (PENDING, "held before a tool", "claim", TOOL_FREE),
    (PENDING, "just published", "republish", False),
    (QUEUED, "the session is free", "promote", PROMOTED),
    (QUEUED, "the session is free", "cancel", AHEAD),
    (QUEUED, "the session is free", "claim", NO),
    (RUNNING, "answered meanwhile", "interrupt", ANSWERED),
    (RUNNING, "held before a tool", "interrupt", ASKED_HELD),
    (RUNNING, "answered meanwhile, held before a tool", "interrupt", ANSWERED),
    (RUNNING, "everything is paused", "release", HELD),
    (RUNNING, "another tool is paused", "release", RELEASED),
    (RUNNING, "held before a tool", "release", HELD_AT_TOOL),
    (RUNNING, "further than when the last lease expired", "lapse", LAPSED_ON),
    (RUNNING, "too often", "lapse", GIVEN_UP),
    (RUNNING, "the lease is held", "lapse", NO),
    (RUNNING, "by the attempt before", "interrupt", StaleAttempt),
    (RUNNING, "by the attempt before", "finish", StaleAttempt),
    (RUNNING, "by the attempt before", "fail", StaleAttempt),
    (RUNNING, "by the attempt before", "overrun", False),
    (RUNNING, "by the attempt before", "release", StaleAttempt),
    (RUNNING, "by the attempt before", "lapse", NO),
    (INTERRUPTED, "held before a tool", "wake", WOKEN_HELD),
)

PLAIN = tuple(
    (status, "", writer, cell) for writer, row in TABLE.items() for status, cell in zip(STATUSES, row, strict=True)
)
CASES = (*PLAIN, *SPECIAL)
MADE = {"begin"}  # makes a row; agents.state.removal deletes them
WRITES_NOTHING = {
    "require_open",
    "lock",
    "append_event",
}  # no status
CHANGE_SEVERAL = {"supersede"}  # all unfinished tasks of a session


@dataclass
class World:
    """A task in the middle of its session, and the attempt that writes."""

    task: Task
    attempt: Attempt
    behind: Task  # queued behind it, unless it has ended
    special: str

    @property
    def tool(self) -> str:
        return "charge" if "held before a tool" in self.special else ""

    @property
    def asking(self) -> list[Interrupt]:
        """What the run asks: again what was answered meanwhile, or something new."""
        if "answered meanwhile" in self.special:
            return list(Interrupt.objects.filter(task=self.task).order_by("tool_call_id"))
        return [question(self.task, "third")]


WRITERS: dict[str, Callable[[World], Any]] = {
    "claim": lambda world: tasks.claim(world.task.pk, "next"),
    "interrupt": lambda world: tasks.interrupt(world.attempt, world.asking, world.tool),
    "finish": lambda world: tasks.finish(world.attempt, RESULT),
    "fail": lambda world: tasks.fail(world.attempt, "broken"),
    "overrun": lambda world: tasks.overrun(world.attempt),
    "release": lambda world: tasks.release(world.attempt, world.tool),
    "lapse": lambda world: tasks.lapse(world.attempt, "c2" if "further" in world.special else "c1"),
    "wake": lambda world: tasks.wake(world.task),
    "cancel": lambda world: tasks.cancel(world.task),
    "promote": lambda world: tasks.promote(world.task.session_id),
    "republish": lambda world: tasks.republish(world.task),
}


def submitted(user: User, name: str) -> Task:
    return services.submit(services.Submission("ann", "x", "s", name), user)


def claimed(task: Task) -> Attempt:
    attempt = tasks.claim(task.pk, "worker")
    assert attempt is not None
    return attempt


def run_twice(task: Task) -> Attempt:
    """It has asked two questions, of which one is answered; its next worker died; the third attempt runs."""
    tasks.interrupt(claimed(task), [question(task, "first"), question(task, "second")])
    first = Interrupt.objects.get(task=task, tool_call_id="first")
    services.answer(first, answered(first))
    second = claimed(task)
    Attempt.objects.filter(pk=second.pk).update(lease_until="2020-01-01T00:00:00Z")
    assert tasks.lapse(second, "c1") == Status.PENDING
    return claimed(task)


def bring(user: User, status: Status, special: str) -> World:
    """Bring a task into the status, by what leads there."""
    ahead = submitted(user, "ahead") if status == QUEUED else None
    task, behind = submitted(user, "task"), submitted(user, "behind")
    # An attempt of a task that never ran: nobody has it, so it is the most that one could make up.
    attempt = Attempt(task=task, token=0, worker="nobody", started_at="2020-01-01T00:00:00Z", lease_until="2020-01-01")
    if ahead is not None and special == "the session is free":
        with transaction.atomic():  # without `promote`, which follows where a client deletes it
            removal.remove(ahead.session, Task.objects.filter(pk=ahead.pk))
    elif status != QUEUED and special != "it never ran":
        attempt = run_twice(task)
        tool = "charge" if special.startswith("held before") and status != RUNNING else ""
        match status:
            case Status.PENDING:
                tasks.release(attempt, tool)
            case Status.INTERRUPTED:
                tasks.interrupt(attempt, Interrupt.objects.filter(tool_call_id="second"), tool)
            case Status.COMPLETED:
                tasks.finish(attempt, RESULT)
            case Status.ERROR:
                tasks.fail(attempt, "before")
            case Status.CANCELLED:
                tasks.cancel(task)
    if special == "by the attempt before":
        attempt = Attempt.objects.get(task=task, token=2)
    make_old()
    if not attempt._state.adding:
        attempt = Attempt.objects.select_related("task").get(pk=attempt.pk)
    return World(Task.objects.get(pk=task.pk), attempt, behind, special)


def add(world: World, settings: Any) -> None:
    """Add what is special beside the rows of the task."""
    pauses = {
        "everything is paused": ("everything", ""),
        "its agent is paused": ("agent", "default"),
        "its user is paused": ("user", "ann"),
        "another tool is paused": ("tool", "refund"),
        "held before a paused tool": ("tool", "charge"),
    }
    if world.special in pauses:
        scope, value = pauses[world.special]
        Pause.objects.create(scope=scope, value=value, by_name="rita")
    if world.special == "too often":
        settings.TASK_MAX_LAPSES = 2
    if world.special == "the lease is held":
        leases.renew(Attempt.objects.filter(pk=world.attempt.pk), "lease_until", 60)
    if world.special == "just published":
        assert tasks.republish(Task.objects.get(pk=world.task.pk))


@pytest.fixture
def ended() -> Iterator[list[tuple[Any, str]]]:
    """What `task_finished` has told: the task and its status."""
    told: list[tuple[Any, str]] = []

    def note(task: Task, **more: Any) -> None:
        told.append((task.pk, str(task.status)))

    signals.task_finished.connect(note)
    yield told
    signals.task_finished.disconnect(note)


def expected_rows(world: World, to: To, before: Rows) -> dict[tuple[str, Any], dict[str, Any]]:
    """The columns that the change writes in rows that were there before."""
    found: dict[tuple[str, Any], dict[str, Any]] = {}
    found["Task", world.task.pk] = {**({"status": to.path[-1].value} if to.path else {}), **to.task}
    if to.outcome:
        found["Attempt", world.attempt.pk] = {"outcome": to.outcome, "ended_at": SET}
    if to.starts_next:
        found["Task", world.behind.pk] = {"status": "pending", **MOVED, **TO_PENDING}
    for (name, pk), row in before.items():
        if name == "Interrupt" and to.questions == "cancelled" and row["status"] == "pending":
            found[name, pk] = {"status": "cancelled", "version": row["version"] + 1}
        if name == "Interrupt" and to.questions == "asked" and row["tool_call_id"] == "first":
            found[name, pk] = {"used_at": SET}
    return found


def jobs_of(world: World, to: To) -> list[Any]:
    """The jobs that the change publishes, in their order."""
    own = [world.task.pk] if PENDING in to.path or not to.path else []
    return own + ([world.behind.pk] if to.starts_next else [])


def name_of(value: Any) -> str:
    if isinstance(value, To):
        return "-".join(value.path) or "published"
    return getattr(value, "__name__", str(value)).replace(" ", "_")


@pytest.mark.parametrize(
    ("status", "special", "writer", "to"), [case for case in CASES if isinstance(case[3], To)], ids=name_of
)
def test_it_makes_the_change_of_the_table_and_no_other(
    reviewer: User, ended: Any, published: list[Any], settings: Any, status: Status, special: str, writer: str, to: To
) -> None:
    world = bring(reviewer, status, special)
    add(world, settings)
    before = picture()
    spent = before["Task", world.task.pk]["run_seconds"]
    del published[:], ended[:]
    result = WRITERS[writer](world)
    written = differences(before, picture())
    if to.task.get("run_seconds") == MORE:
        assert written["Task", world.task.pk]["run_seconds"] > spent
        written["Task", world.task.pk]["run_seconds"] = MORE
    new = {key: written.pop(key) for key in written.keys() - before.keys()}
    assert written == expected_rows(world, to, before)
    begun = {"Attempt": to.token > 0, "Interrupt": to.questions == "asked"}
    assert sorted(name for name, _ in new) == [name for name, is_new in begun.items() if is_new]
    for (name, _), row in new.items():
        if name == "Attempt":
            assert (row["token"], row["worker"], row["outcome"], row["ended_at"]) == (to.token, "next", "", UNSET)
            assert leases.held(Attempt.objects.filter(pk=row["id"]), "lease_until").exists()
        else:
            assert (row["tool_call_id"], row["status"], row["version"]) == ("third", "pending", 1)
    assert published == jobs_of(world, to)
    assert ended == ([(world.task.pk, to.path[-1].value)] if to.path and to.path[-1] in FINAL else [])
    told = {
        "claim": lambda: result.pk in {pk for _, pk in new},
        "interrupt": lambda: result == to.path[-1],
        "lapse": lambda: result == to.path[-1],
        "cancel": lambda: (result.pk, result.status) == (world.task.pk, to.path[-1]),
        "promote": lambda: (result.pk, result.status) == (world.task.pk, to.path[-1]),
    }
    plain = {"finish": None, "fail": None, "release": None, "overrun": True, "wake": True, "republish": True}
    assert told[writer]() if writer in told else result is plain[writer]


@pytest.mark.parametrize("strategy", [INTERRUPT, ROLLBACK])
@pytest.mark.parametrize("status", STATUSES)
def test_a_newer_task_cancels_all_that_are_unfinished_and_writes_nothing_else(
    reviewer: User, ended: Any, published: list[Any], status: Status, strategy: str
) -> None:
    world = bring(reviewer, status, "")
    before = picture()
    unfinished = list(Task.objects.filter(status__in=UNFINISHED).order_by("position"))
    del published[:], ended[:]
    with transaction.atomic():
        tasks.supersede(world.task.session, "newer", strategy)
    written = differences(before, picture())
    spent = written.get(("Task", world.task.pk), {}).pop("run_seconds", 0)
    assert (spent > 0) == (status == RUNNING)
    message = tasks.SUPERSEDED.format(newer="newer", strategy=strategy)
    expected: dict[Any, Any] = {}
    for task in unfinished:
        kept = {"to_keep": True} if strategy == INTERRUPT and task.has_thread else {}
        expected["Task", task.pk] = {"status": "cancelled", **MOVED, "superseded": strategy, "message": message, **kept}
    if status == RUNNING:
        expected["Attempt", world.attempt.pk] = {"outcome": "voided", "ended_at": SET}
    for asked in Interrupt.objects.filter(pk__in=[pk for name, pk in before if name == "Interrupt"]):
        if before["Interrupt", asked.pk]["status"] == "pending":
            expected["Interrupt", asked.pk] = {"status": "cancelled", "version": asked.version}
    assert written == expected
    assert (published, ended) == ([], [(task.pk, "cancelled") for task in unfinished])


def refusals() -> dict[tuple[Status, str], dict[str, Any]]:
    """The writers that refuse, with their refusals, by the way to bring the task there."""
    found: dict[tuple[Status, str], dict[str, Any]] = {}
    for status, special, writer, cell in CASES:
        if not isinstance(cell, To):
            found.setdefault((status, special), {})[writer] = cell
    return found


@pytest.mark.parametrize(("status", "special"), refusals(), ids=name_of)
def test_where_the_table_has_no_change_it_refuses_and_writes_nothing(
    reviewer: User, ended: Any, published: list[Any], settings: Any, status: Status, special: str
) -> None:
    """One writer after the other on the same rows, which no refusal changes."""
    world = bring(reviewer, status, special)
    add(world, settings)
    before = picture()
    del published[:], ended[:]
    for writer, refusal in refusals()[status, special].items():
        result = told(replace(world, task=copy(world.task), attempt=deepcopy(world.attempt)), writer)
        if refusal is StaleAttempt:
            assert isinstance(result, StaleAttempt), writer
        elif refusal is SAME:
            assert (result.pk, result.status) == (world.task.pk, status), writer
        else:
            assert result is refusal, writer
        assert differences(before, picture()) == {}, writer
        assert (published, ended) == ([], []), writer


def told(world: World, writer: str) -> Any:
    """What the writer returns, or its refusal."""
    try:
        return WRITERS[writer](world)
    except StaleAttempt as error:
        return error


@pytest.mark.parametrize("status", STATUSES)
def test_the_task_is_brought_into_the_status_that_is_said(reviewer: User, status: Status) -> None:
    world = bring(reviewer, status, "")
    assert world.task.status == status
    assert Attempt.objects.filter(task=world.task, ended_at=None).exists() == (status == RUNNING)
    statuses = list(Interrupt.objects.order_by("tool_call_id").values_list("status", flat=True))
    assert statuses == ([] if status == QUEUED else ["approved", "cancelled" if status in FINAL else "pending"])
    behind = Task.objects.get(pk=world.behind.pk)
    assert behind.status == (PENDING if status in FINAL else QUEUED)


def test_the_table_has_every_status_with_every_writer() -> None:
    assert {(status, writer) for status, special, writer, _ in CASES if not special} == {
        (status, writer) for status in Status for writer in WRITERS
    }
    here = {
        name
        for name, found in inspect.getmembers(tasks, inspect.isfunction)
        if found.__module__ == tasks.__name__ and not name.startswith("_")
    }
    assert here == {*WRITERS, *MADE, *WRITES_NOTHING, *CHANGE_SEVERAL}


def test_every_change_that_is_possible_is_made_by_a_writer_and_no_other_one() -> None:
    made = set()
    for status, _, _, to in CASES:
        if isinstance(to, To):
            path = (status, *to.path)
            made |= set(pairwise(path))
    assert made == {(one.source, one.target) for one in TASK if one.source}


def test_a_submitted_task_is_pending_in_a_free_session_and_else_queued(reviewer: User, published: list[Any]) -> None:
    first, second = submitted(reviewer, "first"), submitted(reviewer, "second")
    rows = [(task.status, task.position, task.published_at is not None) for task in Task.objects.order_by("position")]
    assert rows == [(PENDING, 1, True), (QUEUED, 2, False)]
    assert published == [first.pk]
    assert {first.status, second.status} == set(targets(TASK, ""))


@pytest.mark.parametrize(
    ("status", "target"), [(one.source, one.target) for one in TASK if one.source], ids=lambda value: str(value)
)
def test_a_change_that_the_table_has_is_written(
    reviewer: User, published: list[Any], status: Status, target: Status
) -> None:
    task = bring(reviewer, status, "the session is free" if status == QUEUED else "").task
    del published[:]
    before = picture()
    tasks._move(task, target)
    assert differences(before, picture())["Task", task.pk]["status"] == target
    assert published == ([task.pk] if target == PENDING else [])


@pytest.mark.parametrize("status", STATUSES)
def test_a_change_that_the_table_lacks_is_lost_before_it_is_written(
    reviewer: User, published: list[Any], status: Status
) -> None:
    task = bring(reviewer, status, "the session is free" if status == QUEUED else "").task
    del published[:]
    before = picture()
    lacking = set(STATUSES) - targets(TASK, status)
    assert lacking, "no status leads everywhere"
    for target in lacking:
        with pytest.raises(TransitionLost):
            tasks._move(copy(task), target)
        assert differences(before, picture()) == {}, target
        assert published == [], target


def test_a_change_of_a_task_that_is_another_by_now_is_lost(reviewer: User) -> None:
    world = bring(reviewer, RUNNING, "")
    read = Task.objects.get(pk=world.task.pk)
    tasks.finish(world.attempt, RESULT)
    before = picture()
    with pytest.raises(TransitionLost):
        tasks._move(read, CANCELLED)
    assert differences(before, picture()) == {}
    assert read.status == RUNNING, "what was read stays what it was"


@pytest.mark.parametrize("status", STATUSES)
def test_a_task_that_is_deleted_can_not_be_changed(reviewer: User, published: list[Any], status: Status) -> None:
    world = bring(reviewer, status, "")
    services.delete_task("ann", "s", "task")
    del published[:]
    before = picture()
    for writer in ("interrupt", "finish", "fail", "release"):
        with pytest.raises(StaleAttempt):
            WRITERS[writer](world)
    with pytest.raises(NotFound):
        tasks.cancel(world.task)
    assert [WRITERS[writer](world) for writer in ("claim", "lapse")] == [None, None]
    assert [WRITERS[writer](world) for writer in ("overrun", "wake", "republish")] == [False] * 3
    assert differences(before, picture()) == {}
    assert published == []


@pytest.mark.parametrize("status", STATUSES)
def test_of_two_ends_only_the_first_counts(reviewer: User, ended: Any, status: Status) -> None:
    world = bring(reviewer, status, "")
    del ended[:]
    tasks.cancel(world.task)
    first = Task.objects.get(pk=world.task.pk).status
    assert ended == ([] if status in FINAL else [(world.task.pk, CANCELLED.value)])
    before = picture()
    assert tasks.cancel(world.task).status == first
    assert not tasks.overrun(world.attempt)
    assert differences(before, picture()) == {}
    assert len(ended) == (0 if status in FINAL else 1)
    assert Task.objects.filter(status__in=ACTIVE).count() == 1, "the next one, or the one ahead"


def test_of_ten_that_claim_it_at_once_one_gets_it(reviewer: User) -> None:
    world = bring(reviewer, PENDING, "")
    gave = in_threads(10, lambda number: tasks.claim(world.task.pk, f"w{number}"))
    (attempt,) = [one for one in gave if one is not None]
    assert attempt.worker == f"w{gave.index(attempt)}"
    assert Attempt.objects.get(task=world.task, ended_at=None) == attempt
    assert Task.objects.get(pk=world.task.pk).token == attempt.token == 4


def test_of_four_ends_at_once_one_counts_and_one_task_follows(reviewer: User, ended: Any, published: list[Any]) -> None:
    world = bring(reviewer, RUNNING, "")
    del published[:], ended[:]
    ends = ("finish", "fail", "overrun", "cancel")
    gave = in_threads(4, lambda number: WRITERS[ends[number]](world))
    task = Task.objects.get(pk=world.task.pk)
    outcome = Attempt.objects.get(pk=world.attempt.pk).outcome
    was_told = {
        "finish": (COMPLETED, "finished", ""),
        "fail": (ERROR, "failed", "broken"),
        "overrun": (ERROR, "failed", TOO_LONG),
        "cancel": (CANCELLED, "voided", ""),
    }
    won = [end for end in ends if was_told[end] == (task.status, outcome, task.message)]
    assert len(won) == 1
    lost = {end: told for end, told in zip(ends, gave, strict=True) if end not in won}
    for end, told in lost.items():
        if end == "cancel":
            assert told.status == task.status
        else:
            assert told is False if end == "overrun" else isinstance(told, StaleAttempt)
    assert ended == [(task.pk, task.status)]
    assert published == [world.behind.pk]


def test_control_a_write_that_nobody_expects_shows(reviewer: User) -> None:
    world = bring(reviewer, RUNNING, "")
    before = picture()
    tasks.finish(world.attempt, RESULT)
    written = differences(before, picture())
    assert written["Task", world.task.pk].keys() == {"status", "updated_at", "run_seconds", "result"}
    Attempt.objects.filter(task=world.task, token=1).update(worker="another")
    Interrupt.objects.filter(tool_call_id="second").delete()
    more = differences(before, picture())
    assert {tuple(row.items()) for key, row in more.items() if key not in written} == {(("worker", "another"),)}
    assert {} in more.values()
