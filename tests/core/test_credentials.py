"""What opens the API and what does not: keys that have ended, and sessions without a token."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from agentsite.accounts import create_key
from core.models import ApiKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(ann: User) -> str:
    return create_key(ann, "test")


def status_with(client: Client, key: str) -> int:
    return client.get("/agent/sessionids/ann", headers={"Authorization": f"Bearer {key}"}).status_code


def test_a_key_opens_its_users_own(client: Client, key: str) -> None:
    assert status_with(client, key) == 200


@pytest.mark.parametrize("change", [{"revoked": True}, {"expiry_date": timezone.now() - timedelta(minutes=1)}])
def test_a_key_that_has_ended_opens_nothing(client: Client, key: str, change: dict[str, Any]) -> None:
    ApiKey.objects.update(**change)
    assert status_with(client, key) == 401


def test_nor_one_whose_user_is_not_active(client: Client, key: str, ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert status_with(client, key) == 401


@pytest.mark.parametrize("wrong", ["", "nonsense", "abcdefgh.", "\u00e9.x"])
def test_nor_what_is_no_key(client: Client, key: str, wrong: str) -> None:
    assert status_with(client, wrong) == 401


def test_nor_a_key_with_another_end(client: Client, key: str) -> None:
    assert status_with(client, key[:-1] + ("a" if key[-1] != "a" else "b")) == 401


def test_a_revoked_key_stays_revoked(key: str) -> None:
    ApiKey.objects.update(revoked=True)
    found = ApiKey.objects.get()
    found.revoked = False
    with pytest.raises(ValidationError):
        found.save()


def test_the_database_does_not_know_the_key(key: str) -> None:
    assert key.split(".")[1] not in str(ApiKey.objects.values().get())


def test_a_session_without_its_token_changes_nothing(ann: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    answer = client.post("/agent/invoke", {"query": "multiply 6 by 7"}, content_type="application/json")
    assert answer.status_code == 403
