"""`Idempotency-Key`: the same key with the same body is the same task, whatever ids were left out."""

from typing import Any

import pytest

from agents.models import IdempotencyKey, Session, Task
from tests.support.accounts import client_of
from tests.support.concurrency import in_threads

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"user_id": "ann", "query": "multiply 6 by 7"}


def send(client: Any, key: str, **more: Any) -> Any:
    return client.post("/agent/invoke", {**BODY, **more}, headers={"Idempotency-Key": key})


def test_the_same_key_again_starts_nothing(api: Any) -> None:
    first, second = send(api, "k"), send(api, "k")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert Task.objects.count() == 1


def test_another_body_conflicts(api: Any) -> None:
    send(api, "k")
    response = send(api, "k", query="multiply 1 by 1")
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_key_reused")
    assert Session.objects.count() == 1


def test_another_key_is_another_task(api: Any) -> None:
    send(api, "k"), send(api, "l")
    assert Task.objects.count() == 2


def test_another_principals_key_is_another_task(api: Any, ann: Any) -> None:
    assert send(api, "k").json() != send(client_of(ann), "k").json()


def test_with_a_session_it_holds_too(api: Any) -> None:
    assert send(api, "k", session_id="s").json() == send(api, "k", session_id="s").json()
    assert Task.objects.count() == 1


def test_beside_a_task_id_the_task_id_counts(api: Any) -> None:
    send(api, "k", session_id="s", task_id="t1"), send(api, "k", session_id="s", task_id="t2")
    assert Task.objects.count() == 2
    assert not IdempotencyKey.objects.exists()


def test_after_a_day_it_is_new(api: Any) -> None:
    send(api, "k")
    IdempotencyKey.objects.update(created_at="2020-01-01T00:00:00Z")
    send(api, "k", query="multiply 1 by 1")
    assert Task.objects.count() == 2


def test_a_refused_submission_uses_up_no_key(api: Any) -> None:
    send(api, "first", session_id="s")
    assert send(api, "k", session_id="s", multitask_strategy="reject").status_code == 409
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["first"]


@pytest.mark.parametrize("key", ["x" * 256, "é", "a\tb"])
def test_a_key_that_is_none_is_a_400(api: Any, key: str) -> None:
    response = send(api, key)
    assert response.status_code == 400
    assert "Idempotency-Key" in response.json()["errors"]
    assert not Task.objects.exists()


def test_one_key_from_twenty_threads_is_one_task(service: Any) -> None:
    answers = in_threads(20, lambda number: send(client_of(service), "k").json())
    assert len({tuple(sorted(answer.items())) for answer in answers}) == 1
    assert Task.objects.count() == 1
