"""The kill switch over REST and on the command line, who may use it, and where it shows."""

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from agents.models import Pause
from agents.observability import metrics
from reviews import pauses
from reviews.audit import log
from reviews.models import AuditEntry
from tests.support.accounts import client_of, grant, keyed_client_of

pytestmark = pytest.mark.django_db(transaction=True)

EVERYTHING = {"scope": "everything", "reason": "an incident"}
CHARGE = {"scope": "tool", "value": "charge", "reason": "it charges twice"}


@pytest.fixture
def operator(db: Any) -> User:
    return grant(User.objects.create_user("olga"), "agents.pause_work")


@pytest.fixture
def client(operator: User) -> APIClient:
    return keyed_client_of(operator)


def test_a_pause_says_who_what_why_and_since_when(client: APIClient) -> None:
    response = client.post("/pauses", CHARGE)
    assert response.status_code == 201
    row, body = Pause.objects.get(), response.json()
    assert (body["id"], body["by"], body["since"] is not None) == (str(row.pk), "olga", True)
    assert {name: body[name] for name in CHARGE} == CHARGE
    assert (body["resumed_at"], body["resumed_by"], body["by_file"]) == (None, None, False)


def test_the_same_again_is_the_pause_that_is_there(client: APIClient) -> None:
    first, again = client.post("/pauses", CHARGE), client.post("/pauses", {**CHARGE, "reason": "another"})
    assert (again.status_code, again.json()) == (200, first.json())
    assert AuditEntry.objects.count() == 1


def test_it_is_lifted_once_however_often_that_is_asked(client: APIClient) -> None:
    pk = client.post("/pauses", EVERYTHING).json()["id"]
    first, again = client.delete(f"/pauses/{pk}"), client.delete(f"/pauses/{pk}")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert first.json()["resumed_by"] == "olga"
    assert [entry.verb for entry in AuditEntry.objects.order_by("pk")] == ["paused", "resumed"]


def test_after_it_was_lifted_the_same_can_be_paused_anew(client: APIClient) -> None:
    client.delete(f"/pauses/{client.post('/pauses', EVERYTHING).json()['id']}")
    assert client.post("/pauses", EVERYTHING).status_code == 201
    assert [len(client.get(f"/pauses?status={name}").json()["results"]) for name in ("active", "lifted")] == [1, 1]


def test_the_audit_log_has_who_and_what_and_no_text(client: APIClient, operator: User) -> None:
    client.post("/pauses", {"scope": "user", "value": "ann", "reason": "spam by ann"})
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.kind, entry.actor, entry.actor_id) == ("paused", "pause", "olga", operator.pk)
    assert entry.object_id == str(Pause.objects.get().pk)
    assert entry.text_digest == log.digest("spam by ann")
    assert not {"ann", "spam by ann"} & set(map(str, AuditEntry.objects.values_list().get()))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "scope"),
        ({"scope": "all", "reason": "x"}, "scope"),
        ({"scope": 1, "reason": "x"}, "scope"),
        ({"scope": "everything"}, "reason"),
        ({"scope": "everything", "reason": "  "}, "reason"),
        ({"scope": "everything", "reason": "x" * 1001}, "reason"),
        ({"scope": "everything", "value": "charge", "reason": "x"}, "value"),
        ({"scope": "tool", "reason": "x"}, "value"),
        ({"scope": "tool", "value": " ", "reason": "x"}, "value"),
        ({"scope": "tool", "value": "x" * 201, "reason": "x"}, "value"),
        ({"scope": "tool", "value": 5, "reason": "x"}, "value"),
        ({"scope": "agent", "value": "nobody", "reason": "x"}, "value"),
        ({"scope": "user", "value": "not an id", "reason": "x"}, "value"),
        ({"scope": "user", "value": "..", "reason": "x"}, "value"),
    ],
)
def test_bad_input_is_a_400_that_names_the_field_and_pauses_nothing(
    client: APIClient, body: dict[str, Any], field: str
) -> None:
    response = client.post("/pauses", body)
    assert (response.status_code, field in response.json()["errors"]) == (400, True), response.json()
    assert not Pause.objects.exists()


def test_a_tool_that_nobody_knows_yet_can_be_paused(client: APIClient) -> None:
    assert client.post("/pauses", {**CHARGE, "value": "not_there_yet"}).status_code == 201


def test_a_user_id_is_paused_in_its_stored_form(client: APIClient) -> None:
    body = {"scope": "user", "value": "Zoe\N{COMBINING DIAERESIS}", "reason": "x"}
    assert client.post("/pauses", body).json()["value"] == "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"


@pytest.mark.parametrize("pk", ["x", "00000000-0000-0000-0000-000000000000", "%00"])
def test_a_pause_that_does_not_exist_is_a_404(client: APIClient, pk: str) -> None:
    assert client.delete(f"/pauses/{pk}").status_code == 404


def test_a_bad_status_or_cursor_is_a_400(client: APIClient) -> None:
    assert client.get("/pauses?status=old").status_code == 400
    assert client.get("/pauses?cursor=x").status_code == 400


RIGHTS: dict[str, tuple[int, int, int]] = {  # GET, POST, DELETE
    "": (403, 403, 403),
    "agents.act_for_any_user": (403, 403, 403),
    "reviews.decide_review": (403, 403, 403),
    "agents.view_system": (200, 403, 403),
    "agents.view_pause": (200, 403, 403),
    "agents.pause_work": (200, 201, 200),
}


@pytest.mark.parametrize("right", RIGHTS)
def test_who_may(right: str, client: APIClient, ann: User) -> None:
    pk = client.post("/pauses", EVERYTHING).json()["id"]
    own = client_of(grant(ann, right) if right else ann)
    got = (own.get("/pauses"), own.post("/pauses", CHARGE), own.delete(f"/pauses/{pk}"))
    assert tuple(response.status_code for response in got) == RIGHTS[right]
    if got[2].status_code != 200:
        assert list(Pause.objects.values_list("scope", "lifted_at")) == [("everything", None)]


def test_the_database_holds_one_active_pause_of_each_scope_and_name() -> None:
    fields = {"scope": "tool", "value": "charge", "reason": "x", "by_name": "x"}
    Pause.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Pause.objects.create(**fields)
    for wrong in ({"scope": "everything", "value": "x"}, {"scope": "tool", "value": ""}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Pause.objects.create(**{**fields, **wrong})


# Where it shows


def paused(path: str, client: APIClient) -> list[tuple[str, str | None]]:
    cache.clear()
    return [(row["scope"], row["value"]) for row in client.get(path).json()["paused"]]


def test_system_info_says_it_without_the_names_of_other_users(client: APIClient, ann: User, bob: User) -> None:
    for body in (EVERYTHING, CHARGE, {"scope": "user", "value": "bob", "reason": "spam"}):
        client.post("/pauses", body)
    assert paused("/system/info", client_of(ann)) == [("everything", None), ("tool", "charge")]
    assert ("user", "bob") in paused("/system/info", client_of(bob))
    assert len(paused("/system/info", client_of(grant(ann, "agents.view_system")))) == 3


def test_ready_says_it_to_those_who_may_see_the_system(client: APIClient, ann: User) -> None:
    client.post("/pauses", EVERYTHING)
    assert "paused" not in client_of(ann).get("/health/ready").json()
    response = client_of(grant(ann, "agents.view_system")).get("/health/ready")
    assert response.status_code == 200
    assert [row["scope"] for row in response.json()["paused"]] == ["everything"]


def test_the_metrics_say_it(client: APIClient, ann: User, invoke: Any) -> None:
    invoke("multiply 6 by 7")
    client.post("/pauses", CHARGE)
    scraped = client_of(grant(ann, "agents.view_system"))
    text = scraped.get("/metrics").content.decode()
    assert 'agentsite_pauses{scope="tool"} 1.0' in text
    assert 'agentsite_pauses{scope="everything"} 0.0' in text
    assert "agentsite_tasks_paused 0.0" in text
    client.post("/pauses", EVERYTHING)
    assert "agentsite_tasks_paused 1.0" in scraped.get("/metrics").content.decode()


# The command line


def run(command: str, *args: str) -> str:
    out = StringIO()
    call_command(command, *args, stdout=out, stderr=out)
    return out.getvalue()


def test_pause_list_and_resume_on_the_command_line() -> None:
    assert "Nothing is paused." in run("pause", "--list")
    assert "Paused: tool multiply" in run("pause", "--tool", "multiply", "--reason", "it is wrong")
    assert "Already paused" in run("pause", "--tool", "multiply", "--reason", "x")
    run("pause", "--reason", "an incident")
    listed = run("pause", "--list")
    assert "tool multiply: since" in listed
    assert "everything: since" in listed
    assert "1 other pause(s) stay in force" in run("resume")
    assert "Resumed: tool multiply" in run("resume", "--tool", "multiply")
    assert "Nothing is paused." in run("pause", "--list")
    assert set(AuditEntry.objects.values_list("actor_id", flat=True)) == {None}
    assert all(entry.actor.startswith("manage.py:") for entry in AuditEntry.objects.all())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "reason"),
        (["--reason", " "], "reason"),
        (["--agent", "nobody", "--reason", "x"], "Available agents: default"),
        (["--tool", "", "--reason", "x"], "value"),
        (["--tool", "a", "--user", "b", "--reason", "x"], "not allowed with"),
    ],
)
def test_a_wrong_command_says_why_and_pauses_nothing(args: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        run("pause", *args)
    assert not Pause.objects.exists()


def test_a_tool_that_no_agent_has_is_paused_with_a_warning() -> None:
    assert "Check the name" in run("pause", "--tool", "mutliply", "--reason", "x")
    assert Pause.objects.get().value == "mutliply"


def test_resuming_what_is_not_paused_is_an_error() -> None:
    with pytest.raises(CommandError, match="user ann is not paused"):
        run("resume", "--user", "ann")


def test_a_counted_tool_is_known(db: Any) -> None:
    metrics.count(metrics.TOOL_CALLS, "charge", "succeeded")
    metrics.flush()
    assert pauses.known_tool("charge")
    assert not pauses.known_tool("char")


# A user's data


def test_an_erasure_lifts_and_deletes_a_users_pauses_and_the_audit_log_stays_true(client: APIClient) -> None:
    first = client.post("/pauses", {"scope": "user", "value": "ann", "reason": "spam"}).json()["id"]
    client.delete(f"/pauses/{first}")
    client.post("/pauses", {"scope": "user", "value": "ann", "reason": "more spam"})
    client.post("/pauses", {"scope": "user", "value": "bob", "reason": "spam"})
    assert "pauses 2" in run("erase_user", "ann", "--yes")
    assert list(Pause.objects.values_list("value", flat=True)) == ["bob"]
    verbs = list(AuditEntry.objects.order_by("pk").values_list("verb", "actor"))
    assert verbs[-2:] == [("paused", "olga"), ("resumed", "system")]


def test_an_export_has_them(client: APIClient) -> None:
    client.post("/pauses", {"scope": "user", "value": "ann", "reason": "spam"})
    out = StringIO()
    call_command("export_user", "ann", stdout=out)
    assert [row["reason"] for row in json.loads(out.getvalue())["pauses"]] == ["spam"]
