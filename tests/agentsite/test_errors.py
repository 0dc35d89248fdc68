"""Errors: one shape, whoever notices them."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, TooManyFieldsSent
from django.db import OperationalError
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from rest_framework.exceptions import ErrorDetail

from agentsite.api import system
from agentsite.api.errors import by_field, json_errors, server_error
from tests.support import raw
from tests.support.accounts import client_of
from tests.support.helpers import ids_of

pytestmark = pytest.mark.django_db


def through(response: Any, path: str = "/agent/x") -> Any:
    """What the middleware makes of what Django answers (or raises)."""

    def django(request: Any) -> Any:
        if isinstance(response, Exception):
            raise response
        return response

    return json_errors(django)(RequestFactory().get(path))


def test_nested_errors_are_told_by_field() -> None:
    texts = [ErrorDetail("no")]
    nested = {"a": texts, "decisions": {0: {"args": texts}}, "items": [{}, {"b": texts}], "none": []}
    assert by_field(nested) == {"a": ["no"], "decisions.0.args": ["no"], "items.1.b": ["no"]}


def test_errors_of_no_field_have_a_name_too() -> None:
    assert by_field([ErrorDetail("no")]) == {"non_field_errors": ["no"]}


def test_a_field_inside_of_others_is_named(invoke: Any, api: Any) -> None:
    body = {**ids_of(invoke("x")), "decisions": [{"interrupt_id": "x", "response_type": "explode"}]}
    errors = api.post("/agent/resume", body).json()["errors"]
    assert list(errors) == ["decisions.0.response_type"]


@pytest.mark.parametrize(
    ("status", "code"), [(400, "invalid"), (403, "not_allowed"), (404, "not_found"), (500, "server_error")]
)
def test_a_page_about_an_error_becomes_json(status: int, code: str) -> None:
    response = through(HttpResponse("<html>", status=status, headers={"Content-Length": "6", "X-Kept": "1"}))
    assert (response.status_code, response["Content-Type"], response["X-Kept"]) == (status, "application/json", "1")
    assert f'"code": "{code}"' in response.content.decode()
    assert response["Content-Length"] == str(len(response.content))


@pytest.mark.parametrize(
    ("path", "content_type"), [("/agent/x", "application/json"), ("/admin/", "text/html; charset=utf-8")]
)
def test_a_database_that_is_away_outside_of_a_view_is_a_503_too(path: str, content_type: str) -> None:
    try:
        raise OperationalError("gone")
    except OperationalError:
        answer = server_error(RequestFactory().get(path))
    assert (answer.status_code, answer["Content-Type"], answer["Retry-After"]) == (503, content_type, "5")
    assert server_error(RequestFactory().get(path)).status_code == 500


@pytest.mark.parametrize(
    ("response", "path"),
    [
        (HttpResponse("<html>"), "/docs"),
        (HttpResponse("<html>", status=404), "/admin/nowhere"),
        (HttpResponse(b"\0", status=404, content_type="image/png"), "/static/x.png"),
        (StreamingHttpResponse(["x"], status=404), "/agent/x"),
    ],
)
def test_other_answers_stay_as_they_are(response: Any, path: str) -> None:
    kept = response["Content-Type"]
    assert through(response, path)["Content-Type"] == kept


def test_an_exception_that_djangos_own_page_stumbles_over_is_a_400() -> None:
    assert through(TooManyFieldsSent()).status_code == 400


def test_an_exception_that_nobody_expects_is_json_with_debug_too(settings: Any, monkeypatch: Any) -> None:
    settings.DEBUG = True
    monkeypatch.setattr(system.OpenViewSet, "health", lambda self, request: 1 / 0)
    answer = raw.call("GET", "/health")
    assert (answer.status, answer.json()["code"]) == (500, "server_error")


def test_a_missing_right_is_a_403(api: Any, monkeypatch: Any) -> None:
    def refuse(self: Any, request: Any) -> Any:
        raise PermissionDenied

    monkeypatch.setattr(system.SystemInfoViewSet, "retrieve", refuse)
    assert api.get("/system/info").json()["code"] == "permission_denied"


def test_the_system_counts_a_waiting_task_as_pending(invoke: Any, api: Any) -> None:
    invoke("one"), invoke("two")
    assert api.get("/system/info").json()["tasks"] == {"pending": 2}


def test_the_index_says_where_to_go_on(db: None) -> None:
    links = {"docs": "/docs", "schema": "/schema", "admin": "/admin/", "health": "/health"}
    assert links.items() <= client_of(None).get("/").json().items()
