"""`GET /usage`: who may read whose usage, groups, pages, tables, and what is refused."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import ModelCall
from core.api.pagination import encode
from tests.support.accounts import client_of, grant
from tests.support.helpers import again
from tests.support.usage_rows import call

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)
TODAY = NOW.date().isoformat()


@pytest.fixture
def story() -> None:
    call(ago=0)
    call(ago=2, model="other", cost=None)
    call(user="bob", agent="second", repeats=True)


def read(client: Any, **params: Any) -> dict[str, Any]:
    response = client.get("/usage", params)
    assert response.status_code == 200, response.content
    return dict(response.json())


def table(response: Any) -> list[dict[str, str]]:
    assert (response.status_code, response["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_a_user_reads_the_own_usage(story: None, ann: User) -> None:
    body = read(client_of(ann))
    assert body["total"] == {
        **{"calls": 2, "repeats": 0, "failed": 0, "unknown": 0, "unpriced": 1, "input_tokens": 20, "cached_tokens": 0},
        **{"output_tokens": 4, "reasoning_tokens": 0, "seconds": 2.0, "cost": "0.5", "currency": "USD"},
    }
    assert [one["calls"] for one in body["results"]] == [1, 1]
    assert (body["last_day"], body["results"][-1]["day"], body["next"]) == (TODAY, TODAY, None)


@pytest.mark.parametrize("right", ["agents.view_system", "agents.act_for_any_user"])
def test_who_sees_the_system_reads_all_or_one(story: None, bob: User, right: str) -> None:
    client = client_of(grant(User.objects.create_user("eve"), right))
    assert read(client)["total"]["calls"] == 3
    assert read(client, user_id="ann")["total"]["calls"] == 2
    assert [one["user_id"] for one in read(client, group_by="user")["results"]] == ["ann", "bob"]


def test_others_read_nothing_of_anybody_else(story: None, bob: User) -> None:
    client = client_of(bob)
    assert client.get("/usage", {"user_id": "ann"}).status_code == 404
    assert client.get("/usage", {"user_id": "nobody"}).json() == client.get("/usage", {"user_id": "ann"}).json()
    for by in ("day", "user", "agent", "model", "session", "task"):
        assert read(client, group_by=by)["total"]["calls"] == 1
        assert "ann" not in json.dumps(read(client, group_by=by))
        assert "ann" not in str(table(client.get("/usage", {"group_by": by, "format": "csv"})))


@pytest.mark.parametrize("by", ["user", "agent", "model", "session", "day"])
def test_a_page_ends_where_the_next_begins(story: None, api: Any, by: str) -> None:
    found, cursor = [], None
    while True:
        body = read(api, group_by=by, limit=1, **({"cursor": cursor} if cursor else {}))
        found += body["results"]
        cursor = body["next"]
        if cursor is None:
            break
    assert len(found) == 2
    assert found == read(api, group_by=by)["results"]


def test_tasks_have_the_ids_of_the_client(api: Any, invoke: Any, work: Any) -> None:
    tasks = [invoke("multiply 6 by 7", session=f"s{number}") for number in range(2)]
    work()
    rows = read(api, group_by="task")["results"]
    assert sorted((one["user_id"], one["session_id"], one["task_id"], one["calls"]) for one in rows) == [
        ("ann", f"s{number}", task.task_id, 2) for number, task in enumerate(tasks)
    ]
    first = read(api, group_by="task", limit=1)
    assert [*first["results"], *read(api, group_by="task", limit=1, cursor=first["next"])["results"]] == rows


def test_an_erased_user_has_no_name(story: None, api: Any) -> None:
    ModelCall.objects.filter(user_id="bob").update(user_id="", session_id="")
    assert [one["user_id"] for one in read(api, group_by="user")["results"]] == [None, "ann"]
    assert [one["session_id"] for one in read(api, group_by="session")["results"]] == [None, "s1"]


def test_days_limit_what_is_summed(story: None, api: Any) -> None:
    day = (NOW - timedelta(days=2)).date().isoformat()
    assert read(api, **{"from": day, "to": day})["total"]["calls"] == 1
    assert read(api, **{"from": "0001-01-01", "to": "9999-12-31"})["total"]["calls"] == 3
    assert read(api, to="0001-01-02")["total"] == {**read(api, to="0001-01-02")["total"], "calls": 0, "cost": None}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-W01-1"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "from"),
        ({"group_by": "colour"}, "group_by"),
        ({"format": "xml"}, "format"),
        ({"limit": "0"}, "limit"),
        ({"user_id": "two words"}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": encode("no day")}, "cursor"),
        ({"cursor": encode("no id"), "group_by": "task"}, "cursor"),
        ({"cursor": encode("a\x00"), "group_by": "user"}, "cursor"),
        ({"cursor": encode("a"), "group_by": "session"}, "cursor"),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_what_can_not_be_asked_is_named(api: Any, params: Any, field: str, accept: str) -> None:
    response = api.get("/usage", params, headers={"Accept": accept})
    assert (response.status_code, response["Content-Type"]) == (400, "application/json")
    assert list(response.json()["errors"]) == [field]


def test_a_table_has_all_groups(story: None, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.api.pagination.MAX_LIMIT", 1)
    for response in (
        api.get("/usage?group_by=user&format=csv&limit=1"),
        api.get("/usage?group_by=user&limit=1", headers={"Accept": "text/csv"}),
    ):
        rows = table(response)
        assert [(one["user_id"], one["calls"], one["cost"]) for one in rows] == [
            ("ann", "2", "0.5"),
            ("bob", "1", "0.5"),
        ]
    assert response["Content-Disposition"].endswith(f'-{TODAY}-user.csv"')


def test_no_cell_is_a_formula(api: Any) -> None:
    for model in ("=1+1", "+x", "-x", "@x"):
        call(model=model)
    found = table(api.get("/usage?group_by=model&format=csv"))
    assert sorted(one["model"] for one in found) == ["'+x", "'-x", "'=1+1", "'@x"]


def test_other_types_are_not_acceptable(api: Any) -> None:
    assert api.get("/usage", headers={"Accept": "text/html"}).status_code == 406


def test_an_amount_has_all_its_digits(api: Any) -> None:
    call(cost=Decimal("12345678.000000001"))
    call(cost=Decimal(10))
    assert read(api)["total"]["cost"] == "12345688.000000001"
    ModelCall.objects.filter(cost__gt=Decimal(11)).delete()
    assert read(api)["total"]["cost"] == "10"


def test_a_task_tells_its_usage_in_its_status(api: Any, invoke: Any, work: Any) -> None:
    task = invoke("multiply 6 by 7")
    before = api.get(f"/agent/status/ann/s1/{task.task_id}").json()["usage"]
    work()
    after = api.get(f"/agent/status/ann/s1/{again(task).task_id}").json()["usage"]
    assert (before["calls"], after["calls"], after["input_tokens"] > 0) == (0, 2, True)


def test_the_system_tells_today_and_this_month(story: None, api: Any, ann: User) -> None:
    assert api.get("/system/info").json()["usage"]["today"]["calls"] == 2
    assert client_of(ann).get("/system/info").json()["usage"]["today"]["calls"] == 1
