"""`manage.py seed_demo`: the desk that it fills is real, and goes away again."""

from collections import Counter
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from agents.models import Attempt, Interrupt, Session, Task, ToolCall
from agents.runtime import registry
from demo import SUFFIX, TOOLS, seeding
from demo.seeding import REVIEWERS, made
from memory.models import Memory
from reviews.decisions.services import Choice, allowed, decide
from reviews.models import AuditEntry, Decision, PolicyRule
from tests.support.helpers import again

pytestmark = pytest.mark.django_db(transaction=True)

PENDING = Interrupt.Status.PENDING
ON = Interrupt.Kind


def seed_demo(*options: str) -> str:
    out = StringIO()
    call_command("seed_demo", *options, stdout=out)
    return out.getvalue()


def with_tools(settings: Any, *tools: str) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "TOOLS": ["agents.tools", *tools]}}
    registry.agent.cache_clear()
    registry.graph.cache_clear()


@pytest.fixture
def has_tools(settings: Any) -> Iterator[None]:
    settings.DEBUG = True
    with_tools(settings, TOOLS)
    yield
    registry.agent.cache_clear()
    registry.graph.cache_clear()


@pytest.fixture
def few(has_tools: None, work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one session, so that a test that needs no more is quick."""
    read = seeding._read
    one = [entry for entry in read("english") if entry["session"] == "old-drafts"]
    texts = {"english": one, "chinese": []}
    monkeypatch.setattr(seeding, "_read", lambda name: texts.get(name, read(name)))


@pytest.fixture
def told(has_tools: None, work: Any) -> str:
    """A desk that is full, and what the command said."""
    return seed_demo()


def count(rows: Any, column: str) -> Counter[str]:
    return Counter(rows.values_list(column, flat=True))


def assert_the_desk_is_full() -> None:
    pending = Interrupt.objects.filter(status=PENDING)
    assert count(pending.filter(kind=ON.TOOL_CALL), "tool") == {
        "book_hotel": 12,
        "issue_refund": 11,
        "send_email": 10,
        "update_customer": 10,
        "post_announcement": 6,
        "delete_files": 5,
    }
    assert count(pending, "kind") == {"tool_call": 54, "in_doubt": 3, "question": 3}
    assert set(count(pending, "risk")) == {"low", "medium", "high"}
    assert set(count(Interrupt.objects.all(), "status")) == set(Interrupt.Status.values)
    assert set(count(Task.objects.all(), "status")) == {
        *("queued", "pending", "running", "interrupted", "completed", "error", "cancelled")
    }
    assert set(count(Memory.objects.all(), "status")) == set(Memory.Status.values)
    assert set(count(Memory.objects.all(), "kind")) == set(Memory.Kind.values)
    assert set(count(PolicyRule.objects.all(), "effect")) == {"allow", "deny", "review"}
    assert set(count(ToolCall.objects.all(), "status")) == {"started", "succeeded"}


def assert_the_times_fit() -> None:
    for review in Interrupt.objects.select_related("task").filter(status=PENDING):
        assert review.created_at >= review.task.created_at
        assert review.expires_at is not None
        assert review.on_expiry == "wait" or review.expires_at > Task.objects.latest("created_at").created_at
    for one in Decision.objects.select_related("review"):
        assert one.review.created_at < one.created_at == one.review.answered_at
    for attempt in Attempt.objects.exclude(ended_at=None):
        assert attempt.ended_at is not None
        assert attempt.started_at < attempt.ended_at


@pytest.mark.slow
def test_the_desk_is_full_and_can_be_emptied_again(told: str) -> None:
    assert_the_desk_is_full()
    assert_the_times_fit()
    assert "60 pending" in told
    assert "/admin/reviews/review/" in told
    assert f"AGENT_TOOLS={TOOLS}" in told
    assert PolicyRule.objects.exclude(made_from=None).get().uses == 1
    assert User.objects.filter(username="admin").exists(), "else `manage.py dev` would make no administrator"
    entries = AuditEntry.objects.count()
    assert "Deleted: 12 users" in seed_demo("--remove")
    assert_nothing_is_left()
    assert AuditEntry.objects.count() == entries, "nobody can delete these"


def word_on(review: Interrupt) -> Choice:
    """Approve what can be approved; answer what is asked."""
    return Choice("accept") if "accept" in allowed(review) else Choice("response", "as you like")


@pytest.fixture
def decide_all(work: Any, published: list[Any]) -> Callable[[], list[Task]]:
    """Decide whatever is open, as it comes, and work. Returns the tasks, which have to have ended."""

    def carry_on() -> list[Task]:
        rita = User.objects.get(username=REVIEWERS[0] + SUFFIX)
        tasks = list(Task.objects.filter(interrupts__status=PENDING).distinct())
        published.clear()
        while found := Interrupt.objects.filter(status=PENDING).select_related("task__session").first():
            decide(found.pk, rita, word_on(found))
            work()
        return [again(task) for task in tasks]

    return carry_on


@pytest.mark.long
def test_every_pending_review_can_be_decided_and_its_run_goes_on(
    told: str, decide_all: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = decide_all()
    assert {(task.status, task.message) for task in tasks} == {("completed", "")}
    assert ToolCall.objects.filter(status=ToolCall.Status.STARTED).count() == 0
    assert [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"] == []


def test_a_worker_without_the_tools_tells_the_model_so(
    few: None, settings: Any, decide_all: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seed_demo()
    with_tools(settings)
    (task,) = decide_all()
    assert task.status == "completed"
    assert "There is no tool called 'delete_files'" in str(task.result)
    assert [record for record in caplog.records if record.exc_info] == []


def assert_nothing_is_left() -> None:
    assert set(vars(made()).values()) == {0}
    for model in (Session, Task, Interrupt, ToolCall, Memory, PolicyRule, Decision):
        assert not model.objects.exists()
    assert not User.objects.filter(username__endswith=SUFFIX).exists()


@pytest.fixture
def real(db: Any) -> Session:
    return Session.objects.create(user_id="ann", session_id="s")


def test_it_does_not_mix_with_sessions_that_are_there(has_tools: None, real: Session) -> None:
    with pytest.raises(CommandError, match="1 session"):
        seed_demo()
    assert list(Session.objects.all()) == [real]


def test_told_to_it_mixes_and_takes_only_its_own_away(few: None, real: Session) -> None:
    seed_demo("--more")
    assert Session.objects.count() == 2
    seed_demo("--remove")
    assert list(Session.objects.all()) == [real]


def test_filled_once_more_it_only_says_so(few: None) -> None:
    seed_demo()
    before = made()
    assert "already exists: 12 users" in seed_demo()
    assert made() == before


def test_without_debug_it_wants_to_be_told(has_tools: None, settings: Any) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="--yes"):
        seed_demo()
    assert not Session.objects.exists()


def test_without_its_tools_it_names_the_setting(db: Any, settings: Any) -> None:
    settings.DEBUG = True
    with pytest.raises(CommandError, match=f"AGENT_TOOLS={TOOLS}"):
        seed_demo()


def test_stopped_half_way_it_leaves_nothing(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("demo.times.date_back_session", stop)
    with pytest.raises(KeyboardInterrupt):
        seed_demo()
    assert_nothing_is_left()
