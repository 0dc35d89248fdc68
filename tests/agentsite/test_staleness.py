"""What a process may have read a moment ago: keys, permissions, pauses of calls to the model, and who listens."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from agents import pauses
from agents.models import Pause
from agents.state import tasks
from core.db.process_cache import process
from core.models import ApiKey
from notifications.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db

SECONDS = 0.3
STATUS = "/agent/tasks/ann/s1"


@pytest.fixture(autouse=True)
def brief(settings: Any) -> Iterator[None]:
    """Processes remember for a moment, and nothing of the tests before."""
    process.clear()
    settings.STALENESS_SECONDS = SECONDS
    yield
    process.clear()


@pytest.fixture
def key(service: User) -> Any:
    """A key of the service account, with its secret."""
    made: Any
    made, secret = ApiKey.objects.create_key(name="test", user=service)
    made.secret = secret
    return made


@pytest.fixture
def client(key: Any) -> APIClient:
    """A client with this key."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key.secret}")
    return client


def test_a_key_and_its_permissions_are_read_once_for_many_requests(
    client: APIClient, django_assert_max_num_queries: Any
) -> None:
    client.get(STATUS)
    with django_assert_max_num_queries(1):  # the list itself
        assert client.get(STATUS).status_code == 200


@pytest.mark.parametrize("change", ["revoked", "expired", "deleted", "user left", "user deleted"])
def test_a_key_that_is_no_longer_valid_is_refused_within_the_bound(client: APIClient, key: ApiKey, change: str) -> None:
    assert client.get(STATUS).status_code == 200
    rows = ApiKey.objects.filter(pk=key.pk)
    match change:
        case "revoked":
            rows.update(revoked=True)
        case "expired":
            rows.update(expiry_date="2020-01-01T00:00:00Z")
        case "deleted":
            rows.delete()
        case "user left":
            User.objects.filter(pk=key.user_id).update(is_active=False)
        case "user deleted":
            User.objects.filter(pk=key.user_id).delete()
    time.sleep(SECONDS)
    assert client.get(STATUS).status_code == 401


def test_a_permission_counts_within_the_bound_in_both_directions(client: APIClient, service: User) -> None:
    assert client.get(STATUS).status_code == 200
    allowed = Permission.objects.get(codename="act_for_any_user")
    service.user_permissions.remove(allowed)
    time.sleep(SECONDS)
    assert client.get(STATUS).status_code == 404
    service.user_permissions.add(allowed)
    time.sleep(SECONDS)
    assert client.get(STATUS).status_code == 200


def test_a_wrong_secret_is_never_remembered(client: APIClient, key: Any) -> None:
    stranger = APIClient()
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {key.secret[:-1]}x")
    assert [stranger.get(STATUS).status_code for _ in range(3)] == [401] * 3
    assert client.get(STATUS).status_code == 200
    assert stranger.get(STATUS).status_code == 401


def test_a_request_does_not_change_what_the_next_one_gets(client: APIClient) -> None:
    client.get(STATUS)
    first, second = (client.get(STATUS).wsgi_request.user for _ in range(2))
    assert first == second
    assert first is not second


def test_with_zero_each_request_reads_the_key(client: APIClient, key: ApiKey, settings: Any) -> None:
    settings.STALENESS_SECONDS = 0
    assert client.get(STATUS).status_code == 200
    ApiKey.objects.filter(pk=key.pk).update(revoked=True)
    assert client.get(STATUS).status_code == 401


def test_a_pause_stops_calls_of_the_model_within_the_bound(invoke: Any) -> None:
    attempt = tasks.claim(invoke("x").pk, "w")
    assert attempt is not None
    assert not pauses.may_hold(attempt.task)
    pause = Pause.objects.create(scope="user", value="ann", reason="r", by_name="op")
    time.sleep(SECONDS)
    assert pauses.may_hold(attempt.task)
    Pause.objects.filter(pk=pause.pk).update(lifted_at=pause.created_at)
    time.sleep(SECONDS)
    assert not pauses.may_hold(attempt.task)


def test_a_paused_task_is_not_claimed_whatever_the_process_remembers(invoke: Any) -> None:
    first, second = invoke("x"), invoke("y", session="s2")
    attempt = tasks.claim(first.pk, "w")
    assert attempt is not None
    assert not pauses.may_hold(attempt.task)
    Pause.objects.create(scope="everything", reason="r", by_name="op")
    assert tasks.claim(second.pk, "w") is None


@pytest.mark.django_db(transaction=True)
def test_a_new_endpoint_hears_of_ends_within_the_bound(invoke: Any, work: Any) -> None:
    invoke("hello")
    work()
    Endpoint.objects.create(name="e", url="https://example.com/hook", events=["task.completed"])
    time.sleep(SECONDS)
    invoke("hello again", session="s2")
    work()
    assert Delivery.objects.count() == 1


def test_room_for_tasks_is_counted_again_when_it_is_used_up(api: APIClient, settings: Any) -> None:
    settings.TASKS_IN_FLIGHT_PER_PRINCIPAL = 3
    codes = [
        api.post("/agent/invoke", {"user_id": f"u{n}", "session_id": "s", "query": "x"}).status_code for n in range(5)
    ]
    assert codes == [202, 202, 202, 429, 429]
