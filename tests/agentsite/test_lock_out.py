"""The admin's login locks out who guesses passwords."""

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from agentsite.accounts import create_key
from tests.support.accounts import client_of

pytestmark = pytest.mark.django_db

PASSWORD = "rita's own"


@pytest.fixture(autouse=True)
def _with_a_password(settings: Any, reviewer: User) -> None:
    settings.AXES_ENABLED = True
    reviewer.set_password(PASSWORD)
    reviewer.save()


def log_in(password: str = PASSWORD, name: str = "rita", **meta: str) -> Any:
    return Client().post("/admin/login/", {"username": name, "password": password}, **meta)  # type: ignore[arg-type]


def fail(times: int, **more: str) -> list[int]:
    return [log_in("wrong", **more).status_code for _ in range(times)]


def test_the_fifth_failure_locks_and_then_the_right_password_does_not_help() -> None:
    assert fail(5) == [200, 200, 200, 200, 429]
    assert log_in().status_code == 429


def test_the_page_says_what_happened_and_for_how_long() -> None:
    fail(5)
    page = log_in()
    assert page["Content-Type"].startswith("text/html")
    assert page["Retry-After"] == "900"
    assert "Too many failed logins" in page.content.decode()
    assert "15 minutes" in page.content.decode()


def test_the_lock_ends_by_itself_also_for_who_goes_on_trying() -> None:
    fail(5)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
    assert log_in().status_code == 429
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert log_in().status_code == 302


def test_a_login_forgets_the_failures_before_it() -> None:
    fail(4)
    assert log_in().status_code == 302
    assert fail(4) == [200] * 4


def test_other_names_from_the_same_address_are_not_locked(admin_user: User) -> None:
    fail(5)
    assert log_in("password", "admin").status_code == 302


def test_a_stranger_elsewhere_locks_nobody_out() -> None:
    fail(5, REMOTE_ADDR="192.0.2.1")
    assert log_in(REMOTE_ADDR="192.0.2.2").status_code == 302


def test_another_browser_is_no_way_around() -> None:
    told = [fail(1, HTTP_USER_AGENT=f"browser {number}")[0] for number in range(5)]
    assert told[-1] == 429


def test_without_a_proxy_nobody_chooses_an_address() -> None:
    told = [fail(1, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")[0] for number in range(5)]
    assert told[-1] == 429


def test_behind_a_proxy_the_address_that_it_adds_counts(settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    told = [fail(1, HTTP_X_FORWARDED_FOR=f"198.51.100.{number}, 192.0.2.1")[0] for number in range(5)]
    assert told[-1] == 429
    assert log_in(HTTP_X_FORWARDED_FOR="192.0.2.1, 192.0.2.2").status_code == 302


@pytest.mark.parametrize("command", [["axes_reset"], ["axes_reset_username", "rita"]])
def test_a_command_lifts_the_lock(command: list[str], capsys: Any) -> None:
    fail(5)
    call_command(*command)
    assert log_in().status_code == 302


def test_keys_and_open_sessions_of_a_locked_name_go_on(client: Client, reviewer: User) -> None:
    client.force_login(reviewer)
    fail(5)
    key = create_key(reviewer, "test")
    assert client.get("/reviews").status_code == 200
    assert APIClient().get("/reviews", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_the_limit_can_be_set(settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    assert fail(2) == [200, 429]


def test_nothing_of_it_is_listed_in_the_admin(admin_client: Client) -> None:
    assert "/admin/axes/" not in admin_client.get("/admin/").content.decode()


def test_a_login_leaves_no_row_and_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert log_in().status_code == 302
    assert not AccessLog.objects.exists()
    assert not [line for line in caplog.messages if "AXES" in line]


def test_the_log_names_the_address_but_no_password_or_name(caplog: pytest.LogCaptureFixture) -> None:
    fail(5, REMOTE_ADDR="192.0.2.1")
    told = "\n".join(caplog.messages)
    assert "Locking out" in told
    assert "192.0.2.1" in told
    assert "wrong" not in told
    assert "rita" not in told


def test_an_outsider_is_refused_by_the_api_as_before() -> None:
    assert client_of(None).get("/reviews").status_code == 401
