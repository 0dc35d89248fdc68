"""`manage.py export_user` and `manage.py erase_user`."""

import json
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django_celery_results.models import TaskResult

from agents.checkpoints import tables
from agents.models import IdempotencyKey, Interrupt, Session, Task, ToolCall
from agents.runtime.runner import advance
from agents.state import tasks
from agentsite.accounts import create_key
from agentsite.privacy import _cascades
from core.models import ApiKey
from memory import services as memories
from memory.models import Memory
from reviews.models import Decision, PolicyRule, Review
from tests.support.accounts import client_of
from tests.support.helpers import again, answer_of, open_review, resume

pytestmark = pytest.mark.django_db(transaction=True)


def run(command: str, *arguments: Any) -> str:
    output = StringIO()
    call_command(command, *arguments, stdout=output)
    return output.getvalue()


def exported(user_id: str = "ann") -> dict[str, Any]:
    return dict(json.loads(run("export_user", user_id)))


def log(user: User, row: Any) -> None:
    """As the admin notes that somebody changed this."""
    kind = ContentType.objects.get_for_model(row, for_concrete_model=False)
    LogEntry.objects.create(
        user=user, content_type=kind, object_id=str(row.pk), object_repr=str(row), action_flag=CHANGE
    )


@pytest.fixture
def task(api: Any, invoke: Any, work: Any, ann: User) -> Task:
    """One of ann's, with a decided call, a memory, and another that took its place."""
    made = invoke("book the Ritz for 2 nights")
    work()
    resume(api, made)
    work()
    first = memories.add("ann", "prefers tea", source=Memory.Source.API, trusted=True)
    memories.supersede(first, "prefers coffee", source=Memory.Source.API, trusted=True)
    body = {"query": "multiply 6 by 7", "session_id": "s2"}
    client_of(ann).post("/agent/invoke", body, headers={"Idempotency-Key": "once"})
    create_key(ann, "laptop")
    return again(made)


def test_the_export_has_the_conversation_with_calls_questions_and_decisions(task: Task) -> None:
    session = next(one for one in exported()["sessions"] if one["session_id"] == "s1")
    found = session["tasks"][0]
    assert found["result"] == task.result
    assert found["tool_calls"][0]["tool"] == "book_hotel"
    assert found["interrupts"][0]["decisions"][0]["by_name"] == "service"
    assert found["attempts"]


def test_it_has_memories_with_their_history_keys_and_the_account(task: Task) -> None:
    found = exported()
    assert {(one["text"], one["status"]) for one in found["memories"]} == {
        ("prefers tea", "superseded"),
        ("prefers coffee", "active"),
    }
    assert [one["key"] for one in found["idempotency_keys"]] == ["once"]
    assert [one["username"] for one in found["account"]] == ["ann"]
    assert [one["name"] for one in found["api_keys"]] == ["laptop"]


def test_it_has_the_decisions_that_the_user_took(task: Task) -> None:
    assert [one["response_type"] for one in exported("service")["decisions"]] == ["accept"]


def test_it_has_no_credential(task: Task) -> None:
    text = run("export_user", "ann")
    key = ApiKey.objects.get(user__username="ann")
    assert key.hashed_key not in text
    assert User.objects.get(username="ann").password not in text


def test_it_has_nothing_of_others(task: Task, invoke: Any) -> None:
    invoke("a secret of bob", user="bob")
    memories.add("bob", "another secret", source=Memory.Source.API, trusted=True)
    assert "secret" not in run("export_user", "ann")


def test_of_an_unknown_user_it_is_empty() -> None:
    mine = ("account", "api_keys", "idempotency_keys", "preferences", "email_subscriptions")
    about_me = ("sessions", "memories", "policy_rules", "pauses", "decisions", "model_calls", "usage_by_day")
    assert exported("nobody") == {"user_id": "nobody", **{name: [] for name in mine + about_me}}


def test_whatever_goes_with_a_session_is_in_it(task: Task) -> None:
    def below(model: Any) -> set[Any]:
        return {model}.union(*(below(child) for _, child, _ in _cascades(model)))

    assert {Session, Task, Interrupt, ToolCall, Decision, IdempotencyKey} <= below(Session)


def test_a_file_is_new_and_for_its_owner_only(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "ann.json"
    assert run("export_user", "ann", f"--output={path}") == f"Wrote {path}.\n"
    assert json.loads(path.read_text("utf-8")) == exported()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(CommandError, match="exists"):
        run("export_user", "ann", f"--output={path}")


def test_half_a_document_is_not_left_behind(tmp_path: Path, monkeypatch: Any) -> None:
    def broken(user_id: str) -> Any:
        yield "{"
        raise RuntimeError("the database is away")

    monkeypatch.setattr("agentsite.management.commands.export_user.export", broken)
    with pytest.raises(RuntimeError):
        run("export_user", "ann", f"--output={tmp_path / 'ann.json'}")
    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize("command", ["export_user", "erase_user"])
def test_what_can_not_be_a_user_id_is_one_line(command: str) -> None:
    with pytest.raises(CommandError, match="can't be a user_id"):
        run(command, "two words")


def test_erasing_leaves_nothing_but_the_account(task: Task, invoke: Any, work: Any) -> None:
    work()
    told = run("erase_user", "ann", "--yes")
    assert "sessions 2, tasks 2" in told
    empty = exported()
    assert [one["username"] for one in empty.pop("account")] == ["ann"]
    assert [one["name"] for one in empty.pop("api_keys")] == ["laptop"]
    assert not any(empty[name] for name in ("sessions", "memories", "idempotency_keys"))
    assert not tables.forget([task.pk])


def test_with_the_account_it_leaves_nothing(task: Task) -> None:
    run("erase_user", "ann", "--yes", "--account")
    assert not User.objects.filter(username="ann").exists()
    assert not ApiKey.objects.exists()
    assert not any(value for name, value in exported().items() if name != "user_id")


def test_what_is_always_allowed_the_user_goes_too(task: Task, bob: User) -> None:
    made_from = Review.objects.get().pk
    for user in ("ann", "a*"):
        PolicyRule.objects.create(name="always", user=user, effect="allow", made_from=made_from, conditions=[])
    PolicyRule.objects.create(name="by hand", user="ann", effect="deny")
    assert [one["user"] for one in exported()["policy_rules"]] == ["ann"]
    run("erase_user", "ann", "--yes")
    assert set(PolicyRule.objects.values_list("user", "name")) == {("a*", "always"), ("ann", "by hand")}


def test_others_keep_what_is_theirs(task: Task, invoke: Any, work: Any, bob: User) -> None:
    kept = invoke("multiply 6 by 7", user="bob")
    memories.add("bob", "likes tea", source=Memory.Source.API, trusted=True)
    run("erase_user", "ann", "--yes", "--account")
    work()
    assert "42" in answer_of(kept)
    assert Memory.objects.get().user_id == "bob"


def test_a_run_that_is_erased_writes_nothing_more(invoke: Any, event: Any) -> None:
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "w")
    assert attempt is not None
    assert "again in a minute" in run("erase_user", "ann", "--yes")
    with pytest.raises(tasks.StaleAttempt):
        advance(attempt, event)
    assert not Task.objects.exists()


def test_the_admins_log_keeps_the_deed_and_loses_the_name(task: Task, reviewer: User, invoke: Any, work: Any) -> None:
    other = invoke("book the Savoy for 1 night", user="bob")
    work()
    for row in (task, Review.objects.get(task=task), Memory.objects.filter(user_id="ann")[0], open_review(other)):
        log(reviewer, row)
    run("erase_user", "ann", "--yes")
    assert sorted(LogEntry.objects.values_list("object_repr", flat=True))[1:] == ["erased"] * 3


def test_what_celery_notes_of_its_failed_jobs_goes(task: Task, invoke: Any) -> None:
    kept = invoke("x", user="bob")
    for row in (task, kept):
        TaskResult.objects.create(task_id=f"job of {row.pk}", task_args=f"\"('{row.pk}',)\"")
    TaskResult.objects.create(task_id="another job", task_args='"()"')
    run("erase_user", "ann", "--yes")
    assert set(TaskResult.objects.values_list("task_id", flat=True)) == {f"job of {kept.pk}", "another job"}


def test_a_dry_run_only_tells(task: Task) -> None:
    before = exported()
    assert run("erase_user", "ann", "--dry-run").startswith("Would erase 'ann': sessions 2, tasks 2, unfinished 1")
    assert exported() == before


def test_where_nobody_can_be_asked_nothing_is_erased(task: Task) -> None:
    with pytest.raises(CommandError, match="--yes"):
        run("erase_user", "ann")
    assert Task.objects.count() == 2


@pytest.mark.parametrize(("answer", "left"), [("no", 2), ("", 2), ("yes", 0)])
def test_on_a_terminal_it_asks(task: Task, monkeypatch: Any, answer: str, left: int) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    if left:
        with pytest.raises(CommandError, match="Nothing was erased"):
            run("erase_user", "ann")
    else:
        run("erase_user", "ann")
    assert Task.objects.count() == left
