"""How many unfinished tasks a user and a principal may have."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from agents import services
from agents.models import UNFINISHED, Task
from tests.support.accounts import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few(settings: Any) -> None:
    settings.TASKS_IN_FLIGHT_PER_USER = 2


def submit(client: APIClient, user_id: str = "ann", **ids: str) -> Any:
    return client.post("/agent/invoke", {"user_id": user_id, "query": "hello", **ids})


def test_a_user_with_many_unfinished_tasks_gets_no_more(api: APIClient) -> None:
    answers = [submit(api) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[-1].json()["code"] == "too_many_tasks"
    assert int(answers[-1]["Retry-After"]) > 0
    assert Task.objects.count() == 2


def test_other_users_go_on(api: APIClient) -> None:
    assert [submit(api, user).status_code for user in ("ann", "ann", "ann", "bob")] == [202, 202, 429, 202]


def test_it_does_not_matter_who_submits_for_the_user(api: APIClient, ann: User) -> None:
    assert [submit(client).status_code for client in (api, client_of(ann), api)] == [202, 202, 429]


def test_the_same_submission_again_is_still_a_202(api: APIClient) -> None:
    ids = {"session_id": "s", "task_id": "first"}
    submit(api, **ids), submit(api)
    assert submit(api).status_code == 429
    assert submit(api, **ids).status_code == 202


@pytest.mark.parametrize("status", UNFINISHED)
def test_every_unfinished_state_counts(api: APIClient, status: str) -> None:
    submit(api), submit(api)
    Task.objects.update(status=status)
    assert submit(api).status_code == 429


@pytest.mark.parametrize("status", ["completed", "error", "cancelled"])
def test_a_finished_task_makes_room(api: APIClient, status: str) -> None:
    submit(api), submit(api)
    Task.objects.update(status=status)
    assert submit(api).status_code == 202


def test_a_principal_with_many_unfinished_tasks_gets_no_more_for_anybody(api: APIClient, settings: Any) -> None:
    settings.TASKS_IN_FLIGHT_PER_PRINCIPAL = 2
    answers = [submit(api, user) for user in ("ann", "bob", "eve")]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[-1].json()["code"] == "too_many_tasks"


def test_another_principal_goes_on(api: APIClient, settings: Any, ann: User) -> None:
    settings.TASKS_IN_FLIGHT_PER_PRINCIPAL = 1
    assert [submit(client).status_code for client in (api, api, client_of(ann))] == [202, 429, 202]


def test_0_switches_it_off(api: APIClient, settings: Any) -> None:
    settings.TASKS_IN_FLIGHT_PER_USER = settings.TASKS_IN_FLIGHT_PER_PRINCIPAL = 0
    assert [submit(api).status_code for _ in range(5)] == [202] * 5


@pytest.mark.parametrize(
    ("field", "value", "index"), [("user_id", "ann", "task_flight_user"), ("submitted_by", 1, "task_flight_principal")]
)
def test_an_index_answers_the_count(field: str, value: Any, index: str) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # which scans a table as small as a test's, or takes any index that fits
            cursor.execute("DROP INDEX task_by_user, task_by_status")
            cursor.execute("SET LOCAL enable_seqscan = off")
        plan = services.unfinished().filter(**{field: value})[:100].explain()
    assert index in plan
