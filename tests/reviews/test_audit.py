"""The audit log: written with what it records, refused to be altered by the database itself, exported."""

import csv
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client

from agents import services as agents
from agents.models import Interrupt, ToolCall
from agents.runtime.gate.passage import Passage
from agents.state import tasks, tool_calls
from core.text import canonical
from reviews.audit import append_only, log
from reviews.decisions import services
from reviews.decisions.services import Choice, decide, expire
from reviews.models import AuditEntry, Decision, PolicyRule
from reviews.policy import rules
from tests.support.accounts import grant
from tests.support.concurrency import lapse_all
from tests.support.helpers import answer_of, open_review
from tests.support.oracle import Crash

pytestmark = pytest.mark.django_db(transaction=True)

LOG = "/admin/reviews/auditentry/"


@pytest.fixture
def entry(booking: Interrupt, reviewer: User) -> AuditEntry:
    """That of a rejected booking."""
    decide(booking.pk, reviewer, Choice("reject", message="too dear for ann"))
    return AuditEntry.objects.get()


@pytest.fixture
def auditor(db: Any) -> Client:
    client = Client()
    client.force_login(grant(User.objects.create_user("olga", is_staff=True), "reviews.view_auditentry"))
    return client


def verbs() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))


def test_a_decision_is_kept_with_who_what_and_which_version(
    entry: AuditEntry, booking: Interrupt, reviewer: User
) -> None:
    assert (entry.verb, entry.outcome, entry.actor, entry.actor_id) == ("decided", "rejected", "rita", reviewer.pk)
    assert (entry.kind, entry.object_id, entry.version) == ("review", str(booking.pk), 1)
    assert (entry.task, entry.tool, entry.rule) == (booking.task_id, "book_hotel", None)


def test_it_holds_no_text_of_users(entry: AuditEntry, booking: Interrupt) -> None:
    row = json.dumps([str(value) for value in AuditEntry.objects.values_list().get()])
    assert not [text for text in ("Ritz", "too dear", "ann") if text in row]
    assert entry.args_digest == log.digest(booking.args_text)
    assert entry.text_digest == log.digest("too dear for ann")


def test_another_installation_has_other_digests(settings: Any) -> None:
    here = log.digest("text")
    settings.SECRET_KEY = "another"
    assert log.digest("text") != here
    assert log.digest("") == ""


def test_an_edit_is_kept_by_what_runs(booking: Interrupt, reviewer: User) -> None:
    decide(booking.pk, reviewer, Choice("edit", {"hotel_name": "Savoy", "nights": 1}))
    booking.refresh_from_db()
    assert AuditEntry.objects.get().args_digest == log.digest(booking.answer_args_text) != ""


def test_an_expiry_is_the_systems(booking: Interrupt) -> None:
    Interrupt.objects.update(expires_at="2020-01-01T00:00:00Z")
    expire()
    made = AuditEntry.objects.get()
    assert (made.verb, made.outcome, made.actor, made.actor_id) == ("expired", "expired", "system", None)


def test_the_same_decision_again_makes_no_second_entry(entry: AuditEntry, booking: Interrupt, reviewer: User) -> None:
    decide(booking.pk, reviewer, Choice("reject", message="too dear for ann"))
    assert verbs() == ["decided"]


def test_a_decision_that_fails_leaves_no_entry(booking: Interrupt, reviewer: User, monkeypatch: Any) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(agents, "answer", fail)
    with pytest.raises(RuntimeError):
        decide(booking.pk, reviewer, Choice("accept"))
    assert not AuditEntry.objects.exists()


def test_an_entry_that_fails_leaves_no_decision(booking: Interrupt, reviewer: User, monkeypatch: Any) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(services.log, "decided", fail)
    with pytest.raises(RuntimeError):
        decide(booking.pk, reviewer, Choice("accept"))
    assert not Decision.objects.exists()
    assert open_review(booking.task).status == "pending"


def test_every_call_that_a_rule_lets_through_is_there(invoke: Any, work: Any) -> None:
    made = PolicyRule.objects.create(name="hotels", effect="allow", tool="book_hotel")
    invoke("book the Ritz for 2 nights and book the Savoy for 1 night")
    work()
    entries = AuditEntry.objects.filter(verb="let_through", rule=made.pk, actor="system")
    assert {one.object_id for one in entries} == {str(pk) for pk in ToolCall.objects.values_list("pk", flat=True)}
    assert entries.count() == 2


def test_every_call_that_the_policy_denies_is_there_once(
    invoke: Any, work: Any, published: list[Any], monkeypatch: Any
) -> None:
    made = PolicyRule.objects.create(name="no hotels", effect="deny", tool="book_hotel")
    task = invoke("book the Ritz for 2 nights and book the Savoy for 1 night")
    with monkeypatch.context() as patch:  # the worker dies between the entry and the checkpoint
        patch.setattr(Passage, "tell", lambda *args, **more: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            work()
    lapse_all()
    work()
    assert "denied" in answer_of(task)
    entries = AuditEntry.objects.filter(verb="denied", rule=made.pk, actor="system", kind="tool_call", task=task.pk)
    assert (entries.count(), AuditEntry.objects.count()) == (2, 2)
    asked = [{"hotel_name": "Ritz", "nights": 2}, {"hotel_name": "Savoy", "nights": 1}]
    assert {one.args_digest for one in entries} == {log.digest(canonical(args)) for args in asked}


def test_a_call_that_is_denied_by_a_run_that_is_over_is_not_noted(invoke: Any) -> None:
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "w")
    assert attempt is not None
    tasks.cancel(attempt.task)
    with pytest.raises(tasks.StaleAttempt):
        tool_calls.refuse(attempt, tool_calls.Entry("m", "c", "multiply", "{}", ""))
    assert not AuditEntry.objects.exists()


def test_a_rules_life_is_there(reviewer: User) -> None:
    made = PolicyRule(name="all", effect="review")
    rules.save(made, reviewer)
    made.tool = "pay"
    rules.save(made, reviewer)
    rules.switch_off(made, reviewer)
    rules.switch_off(made, reviewer)
    made.enabled = True
    rules.save(made, reviewer)
    assert verbs() == ["rule_created", "rule_changed", "rule_disabled", "rule_enabled"]
    assert set(AuditEntry.objects.values_list("object_id", "rule", "actor")) == {(str(made.pk), made.pk, "rita")}


def test_a_change_shows_in_the_digest(reviewer: User) -> None:
    made = PolicyRule(name="all", effect="review")
    rules.save(made, reviewer)
    made.conditions = [{"argument": "a", "is": ">", "value": 1}]
    rules.save(made, reviewer)
    assert AuditEntry.objects.values("args_digest").distinct().count() == 2


def test_saving_a_rule_forgets_no_use_that_was_counted_meanwhile(reviewer: User) -> None:
    made = PolicyRule(name="all", effect="allow")
    rules.save(made, reviewer)
    PolicyRule.objects.update(uses=5)
    rules.save(made, reviewer)
    assert PolicyRule.objects.get().uses == 5


# Append-only.


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reviews_auditentry SET actor = 'nobody'",
        "DELETE FROM reviews_auditentry",
        *(["TRUNCATE reviews_auditentry"] if connection.vendor == "postgresql" else []),
    ],
)
def test_the_database_refuses_to_alter_an_entry(entry: AuditEntry, statement: str) -> None:
    with pytest.raises(IntegrityError, match=append_only.REFUSAL), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement)
    assert AuditEntry.objects.get().actor == "rita"


def test_so_it_does_by_the_orm(entry: AuditEntry) -> None:
    for alter in (entry.save, entry.delete, AuditEntry.objects.all().delete):
        with pytest.raises(IntegrityError), transaction.atomic():
            alter()
    assert AuditEntry.objects.count() == 1


def test_control_without_the_triggers_it_would_go(entry: AuditEntry) -> None:
    append_only.remove(connection)
    AuditEntry.objects.all().delete()
    append_only.install(connection)
    assert not AuditEntry.objects.exists()


def test_it_stays_when_all_that_it_speaks_of_goes(
    entry: AuditEntry, booking: Interrupt, reviewer: User, api: Any
) -> None:
    assert api.delete("/agent/session/ann/s1").status_code == 200
    reviewer.delete()
    assert not Interrupt.objects.exists()
    entry.refresh_from_db()
    assert (entry.object_id, entry.actor) == (str(booking.pk), "rita")


# Export.


def exported(*arguments: str) -> str:
    output = io.StringIO()
    call_command("export_audit", *arguments, stdout=output)
    return output.getvalue()


def test_it_is_exported_as_csv(entry: AuditEntry) -> None:
    (row,) = csv.DictReader(io.StringIO(exported()))
    assert (row["id"], row["verb"], row["actor"], row["rule"]) == (str(entry.pk), "decided", "rita", "")
    assert row["at"] == entry.at.isoformat()


def test_it_is_exported_as_json_lines(entry: AuditEntry) -> None:
    (line,) = exported("--format", "jsonl").splitlines()
    assert {"id": entry.pk, "task": str(entry.task), "rule": None}.items() <= json.loads(line).items()


def test_the_oldest_comes_first_and_since_leaves_out_the_older(entry: AuditEntry, reviewer: User) -> None:
    rules.save(PolicyRule(name="all"), reviewer)
    assert [row["verb"] for row in csv.DictReader(io.StringIO(exported()))] == ["decided", "rule_created"]
    assert exported("--since", "2999-01-31", "--format", "jsonl") == ""
    later = AuditEntry.objects.latest("pk").at.isoformat()
    assert len(exported("--since", later, "--format", "jsonl").splitlines()) == 1


def test_since_has_to_be_a_date() -> None:
    with pytest.raises(CommandError, match="yesterday"):
        exported("--since", "yesterday")


def test_a_name_is_no_formula_in_a_spreadsheet(booking: Interrupt) -> None:
    name = "@sum"
    decide(booking.pk, grant(User.objects.create_user(name), "reviews.decide_review"), Choice("accept"))
    (row,) = csv.DictReader(io.StringIO(exported()))
    assert row["actor"] == "'@sum"
    assert json.loads(exported("--format", "jsonl"))["actor"] == name


# The admin.


def test_the_log_is_shown_and_found_by_id(auditor: Client, entry: AuditEntry, booking: Interrupt) -> None:
    for term in (booking.pk, booking.task_id, entry.pk, "rita"):
        assert "book_hotel" in auditor.get(LOG, {"q": str(term)}).content.decode()
    for term in ("x", 10**30, "00000000-0000-0000-0000-000000000000"):
        assert "book_hotel" not in auditor.get(LOG, {"q": str(term)}).content.decode()


def test_an_entry_leads_to_its_object_and_its_task(auditor: Client, entry: AuditEntry, booking: Interrupt) -> None:
    content = auditor.get(LOG).content.decode()
    assert f'href="/admin/reviews/review/{booking.pk}/change/">{str(booking.pk)[:8]}…<' in content
    assert f'href="/admin/agents/task/{booking.task_id}/change/">{str(booking.task_id)[:8]}…<' in content


def test_nobody_changes_it_in_the_admin(admin_client: Client, entry: AuditEntry) -> None:
    assert admin_client.get(f"{LOG}{entry.pk}/change/").status_code == 200
    for page in ("add/", f"{entry.pk}/change/", f"{entry.pk}/delete/"):
        assert admin_client.post(f"{LOG}{page}").status_code == 403


@pytest.mark.parametrize(("form", "lines"), [("csv", 2), ("jsonl", 1)])
def test_the_admin_exports_what_the_list_shows(auditor: Client, entry: AuditEntry, form: str, lines: int) -> None:
    assert f"export/{form}?verb__exact=decided" in auditor.get(LOG, {"verb__exact": "decided"}).content.decode()
    response = auditor.get(f"{LOG}export/{form}", {"verb__exact": "decided"})
    assert len(b"".join(response.streaming_content).splitlines()) == lines  # type: ignore[attr-defined]
    response = auditor.get(f"{LOG}export/{form}", {"verb__exact": "expired"})
    assert len(b"".join(response.streaming_content).splitlines()) == lines - 1  # type: ignore[attr-defined]


def test_an_unknown_format_is_a_404(auditor: Client) -> None:
    assert auditor.get(f"{LOG}export/pdf").status_code == 404


def test_outsiders_see_and_export_nothing(entry: AuditEntry) -> None:
    client = Client()
    assert client.get(f"{LOG}export/csv").status_code == 302
    client.force_login(User.objects.create_user("stan", is_staff=True))
    assert (client.get(LOG).status_code, client.get(f"{LOG}export/csv").status_code) == (403, 403)
