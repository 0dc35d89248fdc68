"""The endpoints of streams: who may open them, from where on, and what is refused."""

from typing import Any

import pytest
from django.core import signing

from agents.models import Task
from agents.watching import responses
from agentsite.accounts import create_key
from agentsite.server import handover
from core.models import ApiKey
from tests.support.accounts import client_of
from tests.support.helpers import ids_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def finished(invoke: Any, work: Any) -> Task:
    task = invoke("multiply 6 by 7")
    work()
    return task


def path_of(task: Task, kind: str = "task") -> str:
    ids = ids_of(task)
    if kind == "session":
        return f"/agent/session/{ids['user_id']}/{ids['session_id']}/stream"
    return f"/agent/stream/{ids['user_id']}/{ids['session_id']}/{ids['task_id']}"


def text_of(response: Any) -> str:
    assert response.status_code == 200, response.content
    return b"".join(response).decode()


def test_a_server_of_threads_streams_too(api: Any, finished: Task) -> None:
    response = api.get(path_of(finished))
    assert response["Content-Type"] == "text/event-stream"
    assert (response["Cache-Control"], response["X-Accel-Buffering"]) == ("no-store", "no")
    text = text_of(response)
    assert text.startswith("retry: 1000\n\nid: 1\nevent: status\n")
    assert text.endswith('event: end\ndata: {"status": "completed"}\n\n')


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", "application/json", "text/html"])
def test_whatever_is_accepted(api: Any, finished: Task, accept: str) -> None:
    assert api.get(path_of(finished), HTTP_ACCEPT=accept)["Content-Type"] == "text/event-stream"
    missing = api.get("/agent/stream/ann/s1/nothing", HTTP_ACCEPT=accept)
    assert (missing.status_code, missing["Content-Type"]) == (404, "application/json")


def test_it_begins_behind_the_last_event(api: Any, finished: Task) -> None:
    by_header = text_of(api.get(path_of(finished), headers={"Last-Event-ID": "3"}))
    assert by_header == text_of(api.get(path_of(finished), {"after": "3"}))
    assert by_header.startswith("retry: 1000\n\nid: 4\n")


@pytest.mark.parametrize("kind", ["task", "session"])
@pytest.mark.parametrize("cursor", ["x", "-1", "1.1.1", "9" * 30, "\u0663", "%00"])
def test_another_cursor_is_refused(api: Any, finished: Task, kind: str, cursor: str) -> None:
    response = api.get(path_of(finished, kind), {"after": cursor})
    assert (response.status_code, response.json()["errors"]) == (
        400,
        {"after": ["Send the id of an event of this stream."]},
    )


def test_one_too_many_is_told_to_come_back(api: Any, finished: Task, settings: Any) -> None:
    settings.MAX_STREAMS = 0
    response = api.get(path_of(finished))
    assert (response.status_code, response.json()["code"], response["Retry-After"]) == (429, "too_many_streams", "10")


@pytest.mark.parametrize("kind", ["task", "session"])
def test_of_another_owner_there_is_nothing(bob: Any, finished: Task, kind: str) -> None:
    assert client_of(bob).get(path_of(finished, kind)).status_code == 404
    assert client_of(None).get(path_of(finished, kind)).status_code == 401


def test_head_has_no_body(api: Any, finished: Task) -> None:
    response = api.head(path_of(finished))
    assert (response.status_code, response.content) == (200, b"")


# Tokens


@pytest.fixture
def key(ann: Any) -> str:
    return create_key(ann, "app")


def token(key: str, **body: Any) -> Any:
    client = client_of(None)
    return client.post("/agent/stream/token", body, format="json", HTTP_AUTHORIZATION=f"Bearer {key}")


def test_a_token_opens_a_stream_without_a_header(key: str, finished: Task) -> None:
    given = token(key)
    assert (given.status_code, given.json()["expires_in"]) == (201, 60)
    assert "completed" in text_of(client_of(None).get(path_of(finished), {"token": given.json()["token"]}))


def test_it_opens_nothing_else(key: str, finished: Task) -> None:
    given = token(key).json()["token"]
    assert client_of(None).get("/agent/sessionids/ann", {"token": given}).status_code == 401


def test_it_is_for_one_owner(service: Any, finished: Task) -> None:
    given = token(create_key(service, "app"), user_id="bob").json()["token"]
    assert client_of(None).get(path_of(finished), {"token": given}).status_code == 404


def test_nobody_gets_one_for_another_owner(bob: Any) -> None:
    assert token(create_key(bob, "app"), user_id="ann").status_code == 404


@pytest.mark.parametrize("change", ["old", "forged", "empty", "shape", "revoked", "inactive", "gone"])
def test_a_token_that_is_no_good_is_a_401(ann: Any, key: str, finished: Task, change: str, monkeypatch: Any) -> None:
    given = token(key).json()["token"]
    if change == "old":
        monkeypatch.setattr("core.auth.stream_tokens.SECONDS", -1)
    elif change == "revoked":
        ApiKey.objects.update(revoked=True)
    elif change == "inactive":
        type(ann).objects.filter(pk=ann.pk).update(is_active=False)
    elif change == "gone":
        ApiKey.objects.all().delete()
    else:
        given = {"forged": given + "x", "empty": "", "shape": signing.dumps(["1"], salt="agentsite.stream")}[change]
    assert client_of(None).get(path_of(finished), {"token": given}).status_code == 401


# Waiting


@pytest.mark.parametrize("wait", ["x", "-1", "61", "1.5", "\u0663", "1" * 50])
def test_another_wait_is_refused_and_stores_nothing(api: Any, finished: Task, wait: str) -> None:
    path = path_of(finished).replace("stream", "status")
    assert set(api.get(path, {"wait": wait}).json()["errors"]) == {"wait"}
    refused = api.post(f"/agent/invoke?wait={wait}", {"user_id": "ann", "query": "x"}, format="json")
    assert (refused.status_code, Task.objects.count()) == (400, 1)


def test_a_status_that_there_is_none_of_is_refused(api: Any, finished: Task) -> None:
    path = path_of(finished).replace("stream", "status")
    assert set(api.get(path, {"wait": 1, "since": "asleep"}).json()["errors"]) == {"since"}


def test_what_has_changed_already_is_not_waited_for(api: Any, finished: Task) -> None:
    path = path_of(finished).replace("stream", "status")
    for given in ({"wait": 60}, {"wait": 60, "since": "running"}):
        assert api.get(path, given).json()["status"] == "completed"


def test_a_server_of_threads_waits_in_its_thread(api: Any, invoke: Any) -> None:
    path = path_of(invoke("multiply 6 by 7")).replace("stream", "status")
    assert api.get(path, {"wait": 1}).json()["status"] == "pending"


def test_both_sides_name_the_hand_over_alike() -> None:
    assert handover.LASTING == responses.LASTING
