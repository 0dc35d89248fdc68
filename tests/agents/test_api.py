"""The REST contract of sessions and tasks, as clients and outsiders see it."""

from typing import Any

import pytest
from django.db import OperationalError

from agents import services
from agents.models import Session, Task
from tests.support.accounts import client_of, keyed_client_of
from tests.support.helpers import ids_of, path_of, status_of

pytestmark = pytest.mark.django_db

BODY = {"user_id": "ann", "session_id": "s1", "task_id": "t1", "query": "multiply 6 by 7"}


def test_invoke_answers_the_ids_at_once(api: Any) -> None:
    response = api.post("/agent/invoke", BODY)
    assert response.status_code == 202
    assert response.json() == {"user_id": "ann", "session_id": "s1", "task_id": "t1"}
    assert Task.objects.get().status == "pending"


def test_the_job_goes_out_on_commit(api: Any, published: Any, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        api.post("/agent/invoke", BODY)
    assert published == [Task.objects.get().pk]


def test_ids_left_out_are_made(ann: Any) -> None:
    answer = client_of(ann).post("/agent/invoke", {"query": "hello"}).json()
    assert answer["user_id"] == "ann"
    assert Task.objects.get(task_id=answer["task_id"]).session.session_id == answer["session_id"]


def test_the_same_submission_again_starts_nothing(api: Any) -> None:
    first, second = (api.post("/agent/invoke", BODY) for _ in range(2))
    assert first.json() == second.json()
    assert Task.objects.count() == 1


def test_the_same_task_id_with_another_body_conflicts(api: Any) -> None:
    api.post("/agent/invoke", BODY)
    response = api.post("/agent/invoke", {**BODY, "query": "multiply 1 by 1"})
    assert (response.status_code, response.json()["code"]) == (409, "task_exists")


def test_a_task_id_needs_its_session(api: Any) -> None:
    response = api.post("/agent/invoke", {"user_id": "ann", "task_id": "t", "query": "x"})
    assert response.status_code == 400
    assert "session_id" in response.json()["errors"]


def test_reject_refuses_a_second_task(api: Any) -> None:
    api.post("/agent/invoke", BODY)
    response = api.post("/agent/invoke", {**BODY, "task_id": "t2", "multitask_strategy": "reject"})
    assert (response.status_code, response.json()["code"]) == (409, "session_busy")


def test_more_than_twenty_waiting_are_too_many(api: Any) -> None:
    answers = [api.post("/agent/invoke", {**BODY, "task_id": f"t{n}"}) for n in range(22)]
    assert [a.status_code for a in answers] == [202] * 21 + [429]
    assert answers[-1]["Retry-After"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", 5), ("user_id", ""), ("session_id", ".."), ("session_id", "a/b"), ("task_id", "x" * 129),
        ("task_id", None), ("query", ""), ("query", "   "), ("query", 5), ("query", ["x"]), ("agent", "nobody"),
        ("multitask_strategy", "explode"), ("system_message", {"a": 1}),
    ],
)  # fmt: skip
def test_bad_input_says_which_field_and_changes_nothing(api: Any, field: str, value: Any) -> None:
    response = api.post("/agent/invoke", {**BODY, field: value})
    assert response.status_code == 400
    assert field in response.json()["errors"]
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"query": NaN}', b'{"query": "\\ud800"}', b'{"query": "a\\u0000"}',
     b'{"query": 1e999}', b"[" * 6000, b'{"a":' * 6000, b""],
)  # fmt: skip
def test_a_body_that_is_no_sound_json_is_a_400(api: Any, body: bytes) -> None:
    response = api.post("/agent/invoke", body, content_type="application/json")
    assert response.status_code == 400
    assert set(response.json()) >= {"detail", "code"}


def test_a_body_over_one_mebibyte_is_a_413(api: Any) -> None:
    response = api.post("/agent/invoke", {**BODY, "query": "x" * 1_100_000})
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_another_media_type_is_a_415(api: Any) -> None:
    assert api.post("/agent/invoke", "x", content_type="text/plain").status_code == 415


def test_ids_of_any_script_are_normalised(api: Any) -> None:
    api.post("/agent/invoke", {**BODY, "user_id": "Zoe\u0308", "session_id": "会话:1"})
    assert api.get("/agent/tasks/Zo\u00eb/会话:1").json()["task_ids"] == ["t1:pending"]


def test_a_waiting_task_is_pending_and_names_its_blocker(invoke: Any, api: Any) -> None:
    first, second = invoke("one"), invoke("two")
    assert second.status == "queued"
    shown = status_of(api, second)
    assert (shown["status"], shown["blocked_by"], shown["last_response"]) == ("pending", first.task_id, None)


def test_a_missing_task_has_the_same_shape_and_a_404(api: Any) -> None:
    response = api.get("/agent/status/ann/s/t")
    assert response.status_code == 404
    assert {"status": "not_found", "code": "not_found", "user_id": "ann"}.items() <= response.json().items()


def test_the_lists(invoke: Any, api: Any) -> None:
    invoke("one", session="old")
    invoke("two", session="new")
    assert api.get("/agent/sessionids/ann").json() == {"session_ids": ["new", "old"], "next": None}
    assert api.get("/agent/active/sessionid/ann").json() == {"active_session_id": "new"}
    assert api.get("/agent/tasks/ann/old").json()["tasks"][0]["query"] == "one"
    assert api.get("/agent/tasks/ann/none").json() == {"task_ids": [], "tasks": [], "next": None}
    assert api.get("/agent/active/sessionid/bob").json() == {"active_session_id": ""}


def test_a_list_goes_on_where_its_page_ended(invoke: Any, api: Any) -> None:
    for number in range(5):
        invoke("x", session=f"s{number}")
    first = api.get("/agent/sessionids/ann?limit=3").json()
    second = api.get(f"/agent/sessionids/ann?limit=3&cursor={first['next']}").json()
    assert first["session_ids"] + second["session_ids"] == ["s4", "s3", "s2", "s1", "s0"]
    assert second["next"] is None


NO_UUID = "WyIyMDI2LTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwieCJd"  # of ours in its form, but for the row's key


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=1001", "limit=١", "cursor=x", "cursor=W10=", f"cursor={NO_UUID}"]
)
def test_a_bad_page_is_a_400(api: Any, query: str) -> None:
    assert api.get(f"/agent/sessionids/ann?{query}").status_code == 400


def test_cancelling_twice_is_a_200(invoke: Any, api: Any) -> None:
    task = invoke("x")
    assert [api.post("/agent/cancel", ids_of(task)).status_code for _ in range(2)] == [202, 200]


def test_a_cancelled_task_lets_the_next_one_start(invoke: Any, api: Any) -> None:
    first, second = invoke("one"), invoke("two")
    api.post("/agent/cancel", ids_of(first))
    second.refresh_from_db()
    assert second.status == "pending"


@pytest.mark.parametrize("query", ["multiply 6 by 7", "book the Ritz for 2 nights and book the Savoy for 1 night"])
def test_status_needs_few_queries(
    invoke: Any, work: Any, service: Any, django_assert_max_num_queries: Any, query: str
) -> None:
    task, client = invoke(query), keyed_client_of(service)
    work()
    with django_assert_max_num_queries(5):  # the fifth sums the task's usage
        client.get(path_of(task))


@pytest.mark.parametrize("path", ["sessionids/ann", "tasks/ann/s0", "longterm/ann", "active/sessionid/ann"])
@pytest.mark.parametrize("count", [1, 30])
def test_a_list_needs_few_queries(
    invoke: Any, service: Any, django_assert_max_num_queries: Any, path: str, count: int
) -> None:
    for number in range(count):
        invoke("x", session=f"s{number}")
    client = keyed_client_of(service)
    with django_assert_max_num_queries(5):
        assert client.get(f"/agent/{path}").status_code == 200


def test_outsiders_get_nothing(invoke: Any, bob: Any) -> None:
    task, other = invoke("secret"), client_of(bob)
    reads = [path_of(task), "/agent/sessionids/ann", "/agent/tasks/ann/s1", "/agent/active/sessionid/ann"]
    assert [other.get(path).status_code for path in reads] == [404] * 4
    assert other.post("/agent/cancel", ids_of(task)).status_code == 404
    assert other.post("/agent/resume", {**ids_of(task), "response_type": "accept"}).status_code == 404
    assert other.post("/agent/invoke", BODY).status_code == 403


def test_a_missing_and_a_foreign_task_answer_alike(invoke: Any, bob: Any) -> None:
    task = invoke("secret")
    foreign, missing = client_of(bob).get(path_of(task)), client_of(bob).get("/agent/status/ann/s1/none")
    assert foreign.json() | {"task_id": ""} == missing.json() | {"task_id": ""}


@pytest.mark.parametrize("path", ["/agent/sessionids/ann", "/reviews", "/system/info", "/agent/status/a/b/c"])
def test_without_a_key_it_is_a_401(db: None, path: str) -> None:
    response = client_of(None).get(path)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"


def test_with_the_database_away_it_is_a_503_and_says_so(api: Any, monkeypatch: Any) -> None:
    def away(*args: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(services, "submit", away)
    response = api.post("/agent/invoke", BODY)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


def test_system_info_counts_all_for_a_service_and_oneself_for_a_user(invoke: Any, api: Any, bob: Any) -> None:
    invoke("x")
    invoke("y", user="bob")
    assert api.get("/system/info").json()["sessions_count"] == 2
    own = client_of(bob).get("/system/info").json()
    assert own["active_users"] == {"bob": ["s1"]}
    assert own["users"]["bob"]["tasks"] == 1


def test_health_and_the_index_are_open(db: None) -> None:
    assert client_of(None).get("/health").json()["status"] == "healthy"
    assert client_of(None).get("/").json()["name"] == "Agentsite"


def test_an_unknown_path_is_json_too(db: None) -> None:
    assert client_of(None).get("/nowhere").json()["code"] == "not_found"
