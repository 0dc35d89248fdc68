"""The kill switch in the admin: a form, a button, and a banner on every page."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from agents.models import Pause
from agentsite import privacy
from reviews import pauses
from reviews.models import AuditEntry
from tests.support.accounts import grant, pages_of

pytestmark = pytest.mark.django_db(transaction=True)

LIST, ADD = "/admin/agents/pause/", "/admin/agents/pause/add/"
CHARGE = {"scope": "tool", "value": "charge", "reason": "it charges twice"}
NASTY = "<img src=x onerror=alert(1)>\u202egnp"


@pytest.fixture
def operator(db: Any) -> Client:
    return pages_of(grant(User.objects.create_user("olga", is_staff=True), "agents.pause_work"))


def staff(*rights: str) -> Client:
    return pages_of(grant(User.objects.create_user("sam", is_staff=True), *rights))


def pause(scope: str = "everything", value: str = "", reason: str = "an incident") -> Pause:
    return pauses.pause(scope, value, reason, pauses.Actor("rita"))[0]


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, response
    return str(response.content.decode())


def test_the_form_pauses_and_leads_to_the_button(operator: Client) -> None:
    response = operator.post(ADD, CHARGE, follow=True)
    row = Pause.objects.get()
    assert (row.scope, row.value, row.reason, row.by_name) == ("tool", "charge", "it charges twice", "olga")
    page = response.content.decode()
    assert f'action="/admin/agents/pause/{row.pk}/resume"' in page
    assert "Check the name" in page  # no call of it has been counted
    assert [entry.actor for entry in AuditEntry.objects.all()] == ["olga"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({**CHARGE, "value": ""}, "Enter a name."),
        ({**CHARGE, "reason": " "}, "This field is required."),
        ({**CHARGE, "scope": "everything"}, "Leave the name empty to pause everything."),
        ({**CHARGE, "scope": "agent"}, "There is no such agent. Available agents: default"),
        ({**CHARGE, "scope": "user", "value": "not an id"}, "IDs can contain"),
        ({**CHARGE, "scope": "x"}, "Select a valid choice."),
        ({**CHARGE, "reason": "x" * 1001}, "At most 1000 characters."),
    ],
)
def test_a_wrong_form_says_why_at_its_field_and_pauses_nothing(
    operator: Client, body: dict[str, str], says: str
) -> None:
    assert says in operator.post(ADD, body).content.decode()
    assert not Pause.objects.exists()


def test_what_is_paused_already_stays_as_it_is(operator: Client) -> None:
    pause()
    page = operator.post(ADD, {"scope": "everything", "value": "", "reason": "another"}, follow=True).content.decode()
    assert "This was already paused" in page
    assert [row.reason for row in Pause.objects.all()] == ["an incident"]


def test_the_button_resumes_and_only_by_post(operator: Client) -> None:
    row = pause()
    path = reverse("admin:agents_pause_resume", args=[row.pk])
    assert operator.get(path).status_code == 405
    page = operator.post(path, follow=True).content.decode()
    row.refresh_from_db()
    assert (row.lifted_by_name, "Resumed. Work that no other pause holds continues." in page) == ("olga", True)
    assert "/resume" not in page


def test_a_pause_that_a_file_holds_says_what_to_do(operator: Client) -> None:
    row = Pause.objects.create(scope="everything", reason="x", by_name="system:host", source="x")
    Pause.objects.update(seen_at=row.created_at)
    page = operator.post(reverse("admin:agents_pause_resume", args=[row.pk]), follow=True).content.decode()
    assert "To lift it, delete that file" in page
    assert Pause.objects.get().lifted_at is None


def test_the_button_checks_where_the_post_comes_from(operator: Client) -> None:
    row = pause()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="olga"))
    assert strict.post(reverse("admin:agents_pause_resume", args=[row.pk])).status_code == 403
    assert Pause.objects.get().lifted_at is None


@pytest.mark.parametrize("rights", [(), ("reviews.view_review",), ("agents.view_task",)])
def test_who_lacks_the_right_sees_no_pauses(rights: tuple[str, ...]) -> None:
    row = pause()
    client = staff(*rights)
    for path in (LIST, ADD, f"{LIST}{row.pk}/change/"):
        assert client.get(path).status_code == 403
    assert client.post(ADD, CHARGE).status_code == 403
    assert client.post(reverse("admin:agents_pause_resume", args=[row.pk])).status_code == 403
    assert list(Pause.objects.values_list("scope", "lifted_at")) == [("everything", None)]


@pytest.mark.parametrize("right", ["agents.view_pause", "agents.view_system"])
def test_who_may_only_look_gets_no_button(right: str) -> None:
    row = pause()
    client = staff(right)
    page = text_of(client, f"{LIST}{row.pk}/change/")
    assert "an incident" in page
    assert "/resume" not in page
    assert client.post(ADD, CHARGE).status_code == 403
    assert client.post(reverse("admin:agents_pause_resume", args=[row.pk])).status_code == 403


def test_no_page_changes_or_deletes_a_pause(operator: Client) -> None:
    row = pause()
    assert operator.post(f"{LIST}{row.pk}/change/", CHARGE).status_code == 403
    assert operator.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Pause.objects.get().scope == "everything"


@pytest.mark.parametrize("path", ["/admin/", LIST, "/admin/reviews/review/", "/admin/preferences/"])
def test_every_page_says_that_something_is_paused(path: str, admin_client: Client) -> None:
    assert 'class="paused"' not in text_of(admin_client, path)
    row = pause()
    page = text_of(admin_client, path)
    assert "Everything is paused" in page
    assert "an incident" in page
    assert f"/admin/agents/pause/{row.pk}/change/" in page


def test_the_review_page_says_it_too(desk: Client, booking: Any) -> None:
    pause("tool", "book_hotel")
    assert "The tool book_hotel is paused" in text_of(desk, f"/admin/reviews/review/{booking.pk}/change/")


def test_those_who_may_not_see_it_are_told_neither_whom_nor_why(desk: Client) -> None:
    pause("user", "ann", "spam by ann")
    page = text_of(desk, "/admin/reviews/review/")
    assert "A user is paused" in page
    assert "spam" not in page
    assert "/admin/agents/pause/" not in page


def test_before_the_login_nothing_is_said(client: Client) -> None:
    pause()
    assert "paused" not in text_of(client, "/admin/login/")


def test_many_pauses_are_counted(admin_client: Client) -> None:
    for number in range(8):
        pause("user", f"user{number}")
    page = text_of(admin_client, "/admin/")
    assert page.count("The user user") == 5
    assert "3 more pauses" in page


def test_what_it_says_is_inert(operator: Client) -> None:
    row = pause("tool", NASTY, NASTY)
    for path in (LIST, f"{LIST}{row.pk}/change/", "/admin/"):
        page = text_of(operator, path)
        assert "<img" not in page.replace('<img src="/static', "")
        assert "\u202e" not in page


def test_the_audit_log_leads_to_it(admin_client: Client) -> None:
    row = pause()
    page = text_of(admin_client, "/admin/reviews/auditentry/")
    assert f"/admin/agents/pause/{row.pk}/change/" in page
    assert "Paused" in page


def test_an_erasure_takes_the_users_name_out_of_the_admins_log(operator: Client) -> None:
    operator.post(ADD, {"scope": "user", "value": "ann", "reason": "spam"})
    assert [entry.object_repr for entry in LogEntry.objects.all()] == ["User ann"]
    privacy.erase("ann")
    assert [entry.object_repr for entry in LogEntry.objects.all()] == ["erased"]
