"""Any order of submit, claim, pause, decide, cancel, delete, expire, crash and sweep keeps the promises of the rows."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from agents import services
from agents.maintenance import sweeper
from agents.models import ACTIVE, FINAL, Attempt, Event, Interrupt, Session, Status, Task, ToolCall
from agents.policy import Terms, Verdict
from agents.state import interrupts, tasks, tool_calls
from core.errors import AgentsiteError
from reviews.decisions.services import Choice, decide

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ORDER = ("session__session_id", "position")  # a run that is repeated has to meet the same rows
PAST = "2020-01-01T00:00:00Z"
VERDICT = Verdict("review", "test", Terms()).to_text()


class Machine(RuleBasedStateMachine):
    """The rows as clients, workers, reviewers and the sweeper change them. `reviewer` is set by the test."""

    reviewer: User
    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        Session.objects.all().delete()
        self.count = 0
        self.ended: dict[Any, str] = {}  # final statuses that have been seen: they stay

    @rule(session=st.sampled_from("ab"))
    def submit(self, session: str) -> None:
        ids = {"user_id": "ann", "session_id": session, "task_id": self.new_id()}
        services.submit(services.Submission(query="x", **ids), self.reviewer)

    @rule(target=attempts, place=st.integers(0, 5))
    def claim(self, place: int) -> Any:
        found = list(Task.objects.filter(status=Status.PENDING).order_by(*ORDER))
        attempt = tasks.claim(found[place % len(found)].pk, "w") if found else None
        return multiple() if attempt is None else attempt

    @rule(attempt=attempts, count=st.integers(1, 2))
    def pause(self, attempt: Attempt, count: int) -> None:
        open_ = self.is_open(attempt)
        asking = [self.question(attempt.task, self.new_id()) for _ in range(count)]
        assert self.went_through(lambda: tasks.interrupt(attempt, asking)) == open_

    @rule(attempt=attempts)
    def pause_with_what_is_still_open(self, attempt: Attempt) -> None:
        open_ = self.is_open(attempt)
        rows = list(Interrupt.objects.filter(task=attempt.task_id, status="pending"))
        if rows:
            assert self.went_through(lambda: tasks.interrupt(attempt, rows)) == open_

    @rule(attempt=attempts, end=st.sampled_from(["finish", "fail", "release"]))
    def conclude(self, attempt: Attempt, end: str) -> None:
        open_ = self.is_open(attempt)
        given = {"finish": ({"messages": []},), "fail": ("broken",), "release": ()}[end]
        assert self.went_through(lambda: getattr(tasks, end)(attempt, *given)) == open_

    @rule(attempt=attempts)
    def enter_a_call(self, attempt: Attempt) -> None:
        open_ = self.is_open(attempt)
        entry = tool_calls.Entry(self.new_id(), "c", "charge", "{}", "d")
        assert self.went_through(lambda: tool_calls.enter(attempt, entry)) == open_

    @rule(kind=st.sampled_from(["accept", "reject", "response"]), place=st.integers(0, 5))
    def decide(self, kind: str, place: int) -> None:
        rows = list(Interrupt.objects.order_by("tool_call_id"))
        if rows:
            row = rows[place % len(rows)]
            choice = Choice(kind, "text" if kind == "response" else None)
            try:
                decide(row.pk, self.reviewer, choice)
            except AgentsiteError:
                assert row.status != Interrupt.Status.PENDING

    @rule(place=st.integers(0, 5))
    def cancel(self, place: int) -> None:
        found = list(Task.objects.order_by(*ORDER))
        if found:
            tasks.cancel(found[place % len(found)])

    @rule(place=st.integers(0, 5))
    def delete(self, place: int) -> None:
        found = list(Task.objects.select_related("session").order_by(*ORDER))
        if found:
            task = found[place % len(found)]
            services.delete_task(task.session.user_id, task.session.session_id, task.task_id)
            self.ended.pop(task.pk, None)

    @rule(attempt=attempts)
    def crash(self, attempt: Attempt) -> None:
        Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(lease_until=PAST)

    @rule()
    def time_goes_by(self) -> None:
        Interrupt.objects.filter(status="pending").update(expires_at=PAST)

    @rule()
    def sweep(self) -> None:
        sweeper.sweep()
        waiting = Task.objects.filter(status=Status.QUEUED)
        assert not [t for t in waiting if not Task.objects.filter(session=t.session_id, status__in=ACTIVE).exists()]
        for task in Task.objects.filter(status=Status.INTERRUPTED):
            assert Interrupt.objects.filter(task=task, status="pending").exists()
        assert not Attempt.objects.filter(ended_at=None, lease_until=PAST).exists()

    @invariant()
    def one_active_task_a_session(self) -> None:
        for session in Session.objects.all():
            assert Task.objects.filter(session=session, status__in=ACTIVE).count() <= 1

    @invariant()
    def a_running_task_has_its_attempt_and_no_other_has_one(self) -> None:
        running = set(Task.objects.filter(status=Status.RUNNING).values_list("pk", flat=True))
        assert running == set(Attempt.objects.filter(ended_at=None).values_list("task_id", flat=True))

    @invariant()
    def what_has_ended_stays_so_and_leaves_nothing_open(self) -> None:
        for pk, status in Task.objects.filter(status__in=FINAL).values_list("pk", "status"):
            assert self.ended.setdefault(pk, status) == status
        assert not Interrupt.objects.filter(task__status__in=FINAL, status="pending").exists()

    @invariant()
    def positions_are_those_of_the_session(self) -> None:
        for session in Session.objects.all():
            places = list(Task.objects.filter(session=session).values_list("position", flat=True))
            assert len(places) == len(set(places))

    @invariant()
    def each_change_is_told_once(self) -> None:
        for task in Task.objects.all():
            told = list(Event.objects.filter(task=task).order_by("seq"))
            assert [one.seq for one in told] == list(range(1, task.last_seq + 1))
            statuses = [one.data["status"] for one in told if one.kind == "status"]
            assert statuses[-1] == task.wire_status
            assert not set(statuses[:-1]) & set(FINAL)

    def new_id(self) -> str:
        self.count += 1
        return f"{self.count:04}"

    def is_open(self, attempt: Attempt) -> bool:
        return Attempt.objects.filter(pk=attempt.pk, ended_at=None).exists()

    def went_through(self, write: Any) -> bool:
        """Whether a write of an attempt was taken; a stale one has to change nothing."""
        before = self.picture()
        try:
            write()
        except tasks.StaleAttempt:
            assert self.picture() == before
            return False
        return True

    def picture(self) -> list[Any]:
        return [sorted(model.objects.values_list("pk", *columns)) for model, columns in COLUMNS]

    def question(self, task: Task, call_id: str) -> Interrupt:
        digest = interrupts.digest_of(task.pk, "charge", "{}", VERDICT)
        fields = {"args_text": "{}", "verdict_text": VERDICT, "args_digest": digest, "tool": "charge"}
        return Interrupt(task=task, kind="tool_call", message_id="m", tool_call_id=call_id, graph_id=call_id, **fields)


COLUMNS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (Task, ("status", "token")),
    (Attempt, ("outcome",)),
    (Interrupt, ("status", "version")),
    (ToolCall, ("status",)),
    (Event, ("kind",)),
)


@pytest.mark.parametrize("runs", [30, pytest.param(200, marks=pytest.mark.long("postgresql"))])
def test_no_order_of_events_breaks_a_promise(reviewer: User, runs: int) -> None:
    Machine.reviewer = reviewer
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    bounds = settings(max_examples=runs, stateful_step_count=20, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Machine, settings=settings(bounds, derandomize=True, database=None))
