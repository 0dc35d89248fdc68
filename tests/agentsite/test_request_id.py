"""Every request has an id: in its answer, its log lines, on its tasks and in the lines of the worker that runs them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from agents.models import Task
from agentsite.api import system
from core.models import ApiKey

pytestmark = pytest.mark.django_db(transaction=True)

MADE = re.compile(r"[0-9a-f]{32}")
Log = Callable[[], list[dict[str, Any]]]


def requests(log: Log) -> list[dict[str, Any]]:
    return [event for event in log() if event["logger"] == "agentsite.requests"]


def test_an_answer_has_an_id_of_ours() -> None:
    first, second = Client().get("/health"), Client().get("/health")
    assert MADE.fullmatch(first["X-Request-ID"])
    assert first["X-Request-ID"] != second["X-Request-ID"]


@pytest.mark.parametrize("given", ["a", "proxy-7.A_z", "x" * 128])
def test_a_sane_id_of_the_client_is_kept(given: str) -> None:
    assert Client().get("/health", headers={"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "é", "a\tb", "<script>", "a/b", "a\n"])
def test_any_other_id_is_replaced(given: str) -> None:
    assert MADE.fullmatch(Client().get("/health", HTTP_X_REQUEST_ID=given)["X-Request-ID"])


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/nothing/here", 404), ("/system/info", 401), ("/agent/invoke", 401), ("/admin/", 302)],
)
def test_every_answer_has_it(path: str, status: int) -> None:
    response = Client().get(path, headers={"X-Request-ID": "r-1"})
    assert response.status_code == status
    assert response["X-Request-ID"] == "r-1"


def test_an_answer_to_a_wrong_host_has_it() -> None:
    response = Client().get("/", headers={"X-Request-ID": "r-1", "Host": "evil.example.com"})
    assert response.status_code == 400
    assert response["X-Request-ID"] == "r-1"


def test_an_error_of_ours_has_it_and_its_traceback_too(api: APIClient, monkeypatch: Any, json_log: Log) -> None:
    monkeypatch.setattr(system, "limit_of", lambda request: 1 / 0)  # before its cache
    api.raise_request_exception = False
    response = api.get("/system/info", headers={"X-Request-ID": "r-1"})
    assert (response.status_code, response["X-Request-ID"]) == (500, "r-1")
    failed = next(event for event in json_log() if "exception" in event)
    assert "ZeroDivisionError" in failed["exception"]
    assert (failed["request_id"], failed["principal"]) == ("r-1", "service")


def test_a_request_is_one_line(api: APIClient, json_log: Log) -> None:
    api.get("/agent/sessionids/ann?limit=5", headers={"X-Request-ID": "r-1"})
    (event,) = requests(json_log)
    assert event["level"] == "info"
    assert (event["method"], event["path"], event["status"]) == ("GET", "/agent/sessionids/ann", 200)
    assert (event["principal"], event["request_id"]) == ("service", "r-1")
    assert event["milliseconds"] > 0
    assert "limit" not in str(event)


def test_the_line_for_people_says_the_same(api: APIClient, line_log: Callable[[], list[str]]) -> None:
    api.get("/agent/sessionids/ann?limit=5", headers={"X-Request-ID": "r-1"})
    pattern = r"agentsite\.requests: GET /agent/sessionids/ann 200 in \d+ ms by service \[request r-1\]$"
    assert re.search(pattern, line_log()[-1])


def test_probes_are_not_logged(json_log: Log) -> None:
    Client().get("/health")
    assert requests(json_log) == []


def test_a_line_break_in_a_path_stays_in_its_line(json_log: Log) -> None:
    Client().get("/nothing%0Ahere")
    assert requests(json_log)[0]["path"] == "/nothing%0Ahere"


def test_a_stranger_has_no_name(json_log: Log) -> None:
    Client().get("/system/info")
    assert "principal" not in requests(json_log)[0]
    assert "by -" in requests(json_log)[0]["event"]


def test_the_holder_of_a_key_is_named(ann: User, json_log: Log) -> None:
    key = ApiKey.objects.create_key(name="test", user=ann)[1]
    Client().get("/system/info", headers={"Authorization": f"Bearer {key}"})
    assert requests(json_log)[0]["principal"] == "ann"


def test_a_login_by_cookie_is_named(json_log: Log) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    client.get("/admin/")
    assert requests(json_log)[0]["principal"] == "root"


def test_nobody_is_looked_up_for_the_line_alone(reviewer: User, django_assert_num_queries: Any, json_log: Log) -> None:
    client = Client()
    client.force_login(reviewer)
    with django_assert_num_queries(0):
        client.get("/")
    assert "principal" not in requests(json_log)[0]


def test_a_task_keeps_the_id_of_the_request_that_submitted_it(api: APIClient) -> None:
    api.post("/agent/invoke", {"query": "hello"}, headers={"X-Request-ID": "r-1"})
    assert Task.objects.get().request_id == "r-1"


def test_the_same_submission_again_keeps_the_first_id(api: APIClient) -> None:
    body = {"query": "hello", "session_id": "s", "task_id": "t"}
    for number in (1, 2):
        assert api.post("/agent/invoke", body, headers={"X-Request-ID": f"r-{number}"}).status_code == 202
    assert Task.objects.get().request_id == "r-1"


def test_the_worker_logs_under_the_tasks_id_and_its_requests(api: APIClient, work: Any, json_log: Log) -> None:
    api.post("/agent/invoke", {"query": "multiply 6 by 7"}, headers={"X-Request-ID": "r-1"})
    task = Task.objects.get()
    work()
    events = [event for event in json_log() if event["logger"] == "agents.state.tasks"]
    assert [event["event"].split(":")[1].split(",")[0].strip() for event in events] == ["running", "completed"]
    assert {(event["task"], event["request_id"]) for event in events} == {(str(task.pk), "r-1")}


def test_what_is_logged_in_a_thread_of_langgraph_belongs_to_the_task(
    invoke: Any, work: Any, oracle: None, monkeypatch: Any, json_log: Log
) -> None:
    monkeypatch.setenv("ORACLE", "/nowhere/oracle")
    task = invoke('call free_charge with {"amount": 3}')
    work()
    failed = next(event for event in json_log() if event["logger"] == "agents.runtime.gate.execution")
    assert "FileNotFoundError" in failed["exception"]
    assert (failed["task"], failed["request_id"]) == (str(task.pk), task.request_id)


def test_nothing_of_a_request_sticks_to_the_next_one(api: APIClient, json_log: Log, invoke: Any) -> None:
    api.get("/system/info", headers={"X-Request-ID": "r-1"})
    Client().get("/")
    assert requests(json_log)[-1]["request_id"] != "r-1"
    assert "principal" not in requests(json_log)[-1]


def test_the_admin_shows_and_finds_it(api: APIClient) -> None:
    api.post("/agent/invoke", {"query": "hello"}, headers={"X-Request-ID": "r-seldom"})
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert "r-seldom" in client.get(f"/admin/agents/task/{Task.objects.get().pk}/change/").content.decode()
    assert "hello" in client.get("/admin/agents/task/?q=r-seldom").content.decode()
