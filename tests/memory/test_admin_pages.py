"""Memories in the admin: people look, approve, forget and add."""

from typing import Any

import pytest

from memory import services
from memory.models import Memory

pytestmark = pytest.mark.django_db
LIST = "/admin/memory/memory/"


def waiting(text: str = "likes tea") -> Memory:
    return services.add("ann", text, source=Memory.Source.AGENT, trusted=False)


def test_a_new_memory_is_the_admins_and_active(admin_client: Any) -> None:
    body = {"user_id": "ann", "text": "likes tea", "kind": "preference", "scope": "user", "scope_ref": ""}
    assert admin_client.post(f"{LIST}add/", body).status_code == 302
    assert Memory.objects.get(source="admin", status="active").kind == "preference"


@pytest.mark.parametrize("wrong", [{"user_id": "a/b"}, {"text": " "}, {"scope": "session"}, {"text": "x" * 4001}])
def test_a_bad_new_memory_is_a_form_again(admin_client: Any, wrong: dict[str, str]) -> None:
    body = {"user_id": "ann", "text": "likes tea", "kind": "fact", "scope": "user", **wrong}
    assert admin_client.post(f"{LIST}add/", body).status_code == 200
    assert not Memory.objects.exists()


def test_the_text_and_the_source_of_an_old_one_are_read_only(admin_client: Any) -> None:
    memory = waiting()
    expiry = {"expires_at_0": "2030-01-01", "expires_at_1": "00:00"}
    body = {"text": "other", "source": "admin", "status": "active", **expiry}
    admin_client.post(f"{LIST}{memory.pk}/change/", body)
    memory.refresh_from_db()
    assert (memory.text, memory.source, memory.status) == ("likes tea", "agent", "pending")
    assert memory.expires_at is not None


@pytest.mark.parametrize(("action", "status"), [("approve", "active"), ("forget", "forgotten")])
def test_an_action_changes_the_chosen(admin_client: Any, action: str, status: str) -> None:
    chosen, other = waiting(), waiting("likes jam")
    admin_client.post(LIST, {"action": action, "_selected_action": [str(chosen.pk)]})
    assert [Memory.objects.get(pk=one.pk).status for one in (chosen, other)] == [status, "pending"]


def test_what_can_not_be_approved_is_said(admin_client: Any) -> None:
    memory = services.reject(waiting())
    body = {"action": "approve", "_selected_action": [str(memory.pk)]}
    assert b"This memory has been forgotten." in admin_client.post(LIST, body, follow=True).content


def test_the_list_is_short_and_can_be_searched(admin_client: Any) -> None:
    waiting("y" * 300)
    assert b"y" * 101 not in admin_client.get(f"{LIST}?q=yyy&status__exact=pending").content
