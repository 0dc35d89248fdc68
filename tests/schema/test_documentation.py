"""The schema at /schema and the Swagger UI at /docs: who sees them, and in which form."""

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.support.accounts import client_of, keyed_client_of

pytestmark = pytest.mark.django_db

PATHS = ["/schema", "/docs", "/docs?script="]


@pytest.mark.parametrize("path", PATHS)
def test_with_debug_they_are_open(settings: Any, path: str) -> None:
    settings.DEBUG = True
    assert client_of(None).get(path).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_without_debug_they_need_a_credential_and_say_so_in_json(path: str) -> None:
    response = client_of(None).get(path)
    assert (response.status_code, response["Content-Type"]) == (401, "application/json")
    assert response.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("path", PATHS)
def test_a_key_opens_them(ann: User, path: str) -> None:
    assert keyed_client_of(ann).get(path).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_the_admins_session_opens_them(ann: User, path: str) -> None:
    client = APIClient()
    client.force_login(ann)
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("accept", "read"), [("application/json", json.loads), ("application/yaml", yaml.safe_load), ("", yaml.safe_load)]
)
def test_the_accept_header_says_in_which_form(api: APIClient, accept: str, read: Any) -> None:
    response = api.get("/schema", headers={"Accept": accept} if accept else {})
    assert read(response.content)["openapi"] == "3.1.0"


def test_another_form_is_a_406(api: APIClient) -> None:
    response = api.get("/schema", headers={"Accept": "text/html"})
    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("query", ["lang=../../x%00", "version=%0a", "format=x"])
def test_no_parameter_breaks_them(api: APIClient, query: str) -> None:
    assert [api.get(f"{path.partition('?')[0]}?{query}").status_code for path in PATHS[:2]] == [200, 200]


def test_the_page_loads_nothing_from_elsewhere(api: APIClient) -> None:
    page = api.get("/docs").content.decode()
    assert "://" not in page
    assert "<style" not in page


def test_only_the_page_may_show_images_that_its_styles_hold(api: APIClient) -> None:
    assert "img-src 'self' data:" in api.get("/docs")["Content-Security-Policy"]
    assert "img-src" not in api.get("/schema")["Content-Security-Policy"]


def test_the_schema_is_made_without_a_warning_and_is_valid() -> None:
    command = [sys.executable, "manage.py", "spectacular", "--fail-on-warn", "--validate"]
    done = subprocess.run(command, cwd=django_settings.BASE_DIR, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_operation_is_described(api: APIClient) -> None:
    paths = api.get("/schema", headers={"Accept": "application/json"}).json()["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert all(one["tags"] and one["summary"] and one["description"] for one in operations)
    assert len({one["operationId"] for one in operations}) == len(operations)


def test_the_open_ones_are_those_that_need_no_credential(api: APIClient) -> None:
    paths = api.get("/schema", headers={"Accept": "application/json"}).json()["paths"]
    is_open = {path for path, methods in paths.items() for one in methods.values() if "security" not in one}
    assert is_open == {"/", "/health", "/health/ready"}
