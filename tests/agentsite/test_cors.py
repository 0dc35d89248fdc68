"""Pages of other origins: only those that are named, and never to the admin."""

from typing import Any

import pytest

from tests.support.accounts import client_of

pytestmark = pytest.mark.django_db

APP = "https://app.example.com"


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [APP]


def asked(path: str, origin: str) -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return client_of(None).options(path, headers=headers)


def test_a_named_origin_may_call() -> None:
    response = asked("/agent/invoke", APP)
    assert response["Access-Control-Allow-Origin"] == APP
    assert "idempotency-key" in response["Access-Control-Allow-Headers"]
    assert "last-event-id" in response["Access-Control-Allow-Headers"]  # readers of streams that use fetch


@pytest.mark.parametrize(("path", "origin"), [("/agent/invoke", "https://evil.example.com"), ("/admin/login/", APP)])
def test_others_may_not(path: str, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in asked(path, origin)


def test_no_cookie_goes_along() -> None:
    assert "Access-Control-Allow-Credentials" not in asked("/agent/invoke", APP)
