"""How many requests a principal, a user and a stranger's address may make."""

import os
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from agentsite.accounts import create_key
from core.auth.throttling import Rate
from tests.support.accounts import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rates(settings: Any) -> Any:
    """The settings, with counters that no other test has touched."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": uuid.uuid4().hex}}
    return settings


@pytest.fixture
def key(ann: User) -> str:
    return create_key(ann, "test")


def statuses(client: APIClient, times: int, path: str = "/system/info", **headers: Any) -> list[int]:
    return [client.get(path, headers=headers).status_code for _ in range(times)]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def submit(client: APIClient, **body: str) -> int:
    return client.post("/agent/invoke", {"query": "hello", **body}).status_code


def test_a_principal_over_its_rate_is_told_when_to_come_back(rates: Any, ann: User) -> None:
    rates.RATE_PRINCIPAL = "2/min"
    assert statuses(client_of(ann), 2) == [200, 200]
    refused = client_of(ann).get("/system/info")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused["Retry-After"]) <= 60


def test_a_service_account_may_poll_for_a_whole_application(rates: Any, service: User, ann: User) -> None:
    rates.RATE_PRINCIPAL, rates.RATE_SERVICE = "2/min", ""
    assert set(statuses(client_of(service), 10)) == {200}
    assert statuses(client_of(ann), 3) == [200, 200, 429]


def test_a_service_account_can_have_a_rate_of_its_own(rates: Any, service: User) -> None:
    rates.RATE_PRINCIPAL, rates.RATE_SERVICE = "1/min", "3/min"
    assert statuses(client_of(service), 4) == [200, 200, 200, 429]


def test_a_service_account_has_the_rate_of_its_user_all_the_same(rates: Any, api: APIClient) -> None:
    rates.RATE_SERVICE, rates.RATE_USER = "", "1/min"
    assert [submit(api, user_id="ann"), submit(api, user_id="ann")] == [202, 429]


def test_a_key_without_the_permission_is_no_service(rates: Any, key: str) -> None:
    rates.RATE_PRINCIPAL, rates.RATE_SERVICE = "2/min", ""
    assert statuses(APIClient(), 3, **bearer(key)) == [200, 200, 429]


@pytest.mark.parametrize(
    ("env", "rate"),
    [({}, ""), ({"RATE_PRINCIPAL": "5/min"}, "5/min"), ({"RATE_PRINCIPAL": "5/min", "RATE_SERVICE": ""}, "")],
)
def test_an_operators_rate_for_principals_counts_for_services_too(env: dict[str, str], rate: str) -> None:
    names = {name: value for name, value in os.environ.items() if not name.startswith("RATE_")}
    code = "from agentsite import settings; print(repr(settings.RATE_SERVICE))"
    told = subprocess.run([sys.executable, "-c", code], env=names | env, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == repr(rate)


def test_all_keys_of_a_principal_count_together(rates: Any, ann: User, key: str) -> None:
    rates.RATE_PRINCIPAL = "2/min"
    other = create_key(ann, "other")
    assert [statuses(APIClient(), 1, **bearer(each))[0] for each in (key, other, key)] == [200, 200, 429]


def test_principals_do_not_use_up_each_others_rate(rates: Any, ann: User, bob: User) -> None:
    rates.RATE_PRINCIPAL = "1/min"
    assert statuses(client_of(ann), 2) == [200, 429]
    assert statuses(client_of(bob), 1) == [200]


def test_there_is_room_again_when_the_time_is_over(rates: Any, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    rates.RATE_PRINCIPAL = "1/min"
    assert statuses(client_of(ann), 2) == [200, 429]
    monkeypatch.setattr(Rate, "timer", staticmethod(lambda: time.time() + 61))
    assert statuses(client_of(ann), 1) == [200]


def test_a_user_over_its_rate_can_submit_no_more_through_whoever_asks(rates: Any, api: APIClient, ann: User) -> None:
    rates.RATE_USER = "2/min"
    assert [submit(api, user_id="ann"), submit(client_of(ann)), submit(api, user_id="ann")] == [202, 202, 429]
    assert submit(api, user_id="bob") == 202


def test_a_users_rate_is_for_submitting_only(rates: Any, api: APIClient) -> None:
    rates.RATE_USER = "1/min"
    assert statuses(api, 3, "/agent/sessionids/ann") == [200, 200, 200]


def test_spellings_of_one_user_id_count_together(rates: Any, api: APIClient) -> None:
    rates.RATE_USER = "1/min"
    assert [submit(api, user_id="Zo\u00eb"), submit(api, user_id="Zoe\u0308")] == [202, 429]


def test_an_outsider_does_not_use_up_a_users_rate(rates: Any, ann: User, bob: User) -> None:
    rates.RATE_USER = "1/min"
    assert [submit(client_of(bob), user_id="ann") for _ in range(3)] == [403, 403, 403]
    assert submit(client_of(ann), user_id="ann") == 202


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"user_id": 5}'])
def test_a_bad_body_is_a_400_also_where_users_are_counted(rates: Any, api: APIClient, body: bytes) -> None:
    rates.RATE_USER = "1/min"
    assert api.post("/agent/invoke", body, content_type="application/json").status_code == 400


def test_requests_without_a_credential_are_refused_after_a_while(rates: Any) -> None:
    rates.RATE_ANONYMOUS = "2/min"
    assert statuses(APIClient(), 2) == [401, 401]
    refused = APIClient().get("/system/info")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused["Retry-After"]) <= 60


def test_guessed_keys_count_too(rates: Any) -> None:
    rates.RATE_ANONYMOUS = "2/min"
    guesses = [statuses(APIClient(), 1, **bearer(f"{number}.guess"))[0] for number in range(3)]
    assert guesses == [401, 401, 429]


def test_a_secret_that_was_guessed_too_often_is_not_even_looked_at(rates: Any, key: str) -> None:
    rates.RATE_ANONYMOUS = "2/min"
    public, _, secret = key.partition(".")
    statuses(APIClient(), 2, **bearer(f"{public}.guess"))
    assert statuses(APIClient(), 1, **bearer(f"{public}.{secret}")) == [429]


def test_strangers_do_not_lock_out_others_behind_the_same_address(rates: Any, key: str) -> None:
    rates.RATE_ANONYMOUS = "2/min"
    statuses(APIClient(), 5, **bearer("expired.key"))
    assert statuses(APIClient(), 1, **bearer(key)) == [200]


def test_addresses_are_counted_one_by_one(rates: Any) -> None:
    rates.RATE_ANONYMOUS = "1/min"
    assert statuses(APIClient(REMOTE_ADDR="192.0.2.1"), 2) == [401, 429]
    assert statuses(APIClient(REMOTE_ADDR="192.0.2.2"), 1) == [401]


def test_without_a_proxy_nobody_chooses_an_address(rates: Any) -> None:
    rates.RATE_ANONYMOUS = "1/min"
    told = [statuses(APIClient(), 1, **{"X-Forwarded-For": f"192.0.2.{number}"})[0] for number in range(2)]
    assert told == [401, 429]


def test_behind_a_proxy_the_address_that_it_adds_counts(rates: Any) -> None:
    rates.RATE_ANONYMOUS = "1/min"
    rates.REST_FRAMEWORK = {**rates.REST_FRAMEWORK, "NUM_PROXIES": 1}
    chains = ["198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1", "198.51.100.1, 192.0.2.2"]
    told = [statuses(APIClient(), 1, **{"X-Forwarded-For": chain})[0] for chain in chains]
    assert told == [401, 429, 401]


def test_an_unknown_address_is_not_counted(rates: Any) -> None:
    rates.RATE_ANONYMOUS = "1/min"
    assert statuses(APIClient(REMOTE_ADDR=""), 3) == [401, 401, 401]


def test_health_answers_whatever_comes(rates: Any) -> None:
    rates.RATE_ANONYMOUS = "1/min"
    statuses(APIClient(), 2)
    assert statuses(APIClient(), 5, "/health") == [200] * 5


def test_an_empty_rate_refuses_nothing(rates: Any, api: APIClient) -> None:
    rates.RATE_PRINCIPAL = rates.RATE_USER = rates.RATE_ANONYMOUS = ""
    assert [submit(api, user_id="ann") for _ in range(5)] == [202] * 5
    assert statuses(APIClient(), 5) == [401] * 5
