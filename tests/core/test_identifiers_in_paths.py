"""Ids that come in a path."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.support.accounts import client_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/agent/sessionids/a b", "user_id"),
        ("/agent/tasks/ann/a b", "session_id"),
        ("/agent/status/a/b/c d", "task_id"),
    ],
)
def test_one_that_can_not_be_an_id_is_named(api: Any, path: str, field: str) -> None:
    response = api.get(path)
    assert (response.status_code, list(response.json()["errors"])) == (400, [field])


def test_it_is_asked_for_a_credential_first() -> None:
    assert client_of(None).get("/agent/sessionids/a b").status_code == 401


def test_a_user_finds_herself_in_either_form_of_her_name(invoke: Any) -> None:
    zoe = User.objects.create_user("Zo\u00eb")
    invoke("x", user="Zo\u00eb")
    assert client_of(zoe).get("/agent/sessionids/Zoe\u0308").json()["session_ids"] == ["s1"]
