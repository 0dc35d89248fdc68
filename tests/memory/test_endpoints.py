"""The REST endpoints of long-term memory."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User

from memory import services
from memory.models import Memory
from tests.support.accounts import client_of

pytestmark = pytest.mark.django_db
WRITE = "/agent/write/longterm"


@pytest.fixture
def tea(db: None) -> Memory:
    return services.add("ann", "likes tea", source=Memory.Source.API, trusted=True)


def path(memory: Memory, owner: str = "ann") -> str:
    return f"/agent/longterm/{owner}/{memory.pk}"


def test_a_write_is_active_and_says_its_id(api: Any) -> None:
    response = api.post(WRITE, {"user_id": "ann", "memory_info": "likes tea", "other": 1})
    memory = Memory.objects.get(user_id="ann", status="active", source="api")
    assert (response.status_code, response.json()["memory_id"]) == (201, str(memory.pk))


def test_the_owner_is_the_caller_by_default(ann: User) -> None:
    client_of(ann).post(WRITE, {"memory_info": "likes tea"})
    assert Memory.objects.get().user_id == "ann"


@pytest.mark.parametrize("text", ["", "  ", 5, None, {"a": 1}, "x" * 4001])
def test_a_bad_text_is_a_400_of_its_field(api: Any, text: Any) -> None:
    response = api.post(WRITE, {"memory_info": text})
    assert (response.status_code, list(response.json()["errors"])) == (400, ["memory_info"])


@pytest.mark.parametrize("text", [r"a\u0000b", r"a\ud800b"])
def test_nul_and_lone_surrogates_are_a_400(api: Any, text: str) -> None:
    body = f'{{"memory_info": "{text}"}}'
    assert api.post(WRITE, body, content_type="application/json").status_code == 400
    assert not Memory.objects.exists()


def test_the_list_has_what_waits_and_not_what_is_history(api: Any, tea: Memory) -> None:
    services.add("ann", "waits", source=Memory.Source.AGENT, trusted=False)
    services.supersede(tea, "likes jam", source=Memory.Source.API, trusted=True)
    rows = api.get("/agent/longterm/ann").json()["results"]
    assert [(row["text"], row["status"]) for row in rows] == [("likes jam", "active"), ("waits", "pending")]
    assert set(rows[0]) == {"memory_id", "text", "kind", "source", "status", "created_at", "updated_at"}


def test_the_list_has_pages(api: Any, tea: Memory) -> None:
    services.add("ann", "likes jam", source=Memory.Source.API, trusted=True)
    first = api.get("/agent/longterm/ann?limit=1").json()
    second = api.get(f"/agent/longterm/ann?limit=1&cursor={first['next']}").json()
    assert [page["results"][0]["text"] for page in (first, second)] == ["likes jam", "likes tea"]


def test_a_query_puts_the_best_first(api: Any, tea: Memory) -> None:
    services.add("ann", "lives in Rome", source=Memory.Source.API, trusted=True)
    found = api.get("/agent/longterm/ann?query=tea&limit=1").json()
    assert ([row["text"] for row in found["results"]], found["next"]) == (["likes tea"], None)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "query=a&cursor=b", "cursor=b", "query=a&limit=-1"])
def test_a_bad_page_is_a_400(api: Any, query: str) -> None:
    assert api.get(f"/agent/longterm/ann?{query}").status_code == 400


def test_a_change_answers_the_new_memory(api: Any, tea: Memory) -> None:
    changed = api.patch(path(tea), {"memory_info": "likes jam"}).json()
    assert Memory.objects.get(pk=changed["memory_id"]).supersedes == tea
    assert api.patch(path(tea), {"memory_info": "likes ham"}).json()["code"] == "superseded"


def test_what_is_forgotten_is_not_there(api: Any, tea: Memory) -> None:
    assert [api.delete(path(tea)).status_code for _ in range(2)] == [200, 404]
    assert api.get("/agent/longterm/ann").json()["results"] == []


@pytest.mark.parametrize("pk", ["nonsense", uuid.uuid4()])
def test_a_missing_memory_is_a_404(api: Any, pk: Any) -> None:
    url = f"/agent/longterm/ann/{pk}"
    assert [api.delete(url).status_code, api.patch(url, {"memory_info": "x"}).status_code] == [404, 404]


def test_an_outsider_may_not_write(bob: User) -> None:
    response = client_of(bob).post(WRITE, {"user_id": "ann", "memory_info": "x"})
    assert (response.status_code, Memory.objects.exists()) == (403, False)


def test_an_outsider_reads_nothing(bob: User, tea: Memory) -> None:
    assert client_of(bob).get("/agent/longterm/ann").status_code == 404


@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_an_outsider_changes_nothing(bob: User, tea: Memory, owner: str) -> None:
    client = client_of(bob)
    assert client.patch(path(tea, owner), {"memory_info": "x"}).status_code == 404
    assert client.delete(path(tea, owner)).status_code == 404
    assert Memory.objects.get().status == "active"


CALLS = [("post", WRITE), ("get", "/agent/longterm/ann"), ("delete", "/agent/longterm/ann/x")]


@pytest.mark.parametrize(("method", "url"), CALLS)
def test_without_a_key_it_is_a_401(method: str, url: str) -> None:
    assert getattr(client_of(None), method)(url).status_code == 401
