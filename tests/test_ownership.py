"""Every route and method of the API against everybody who may not.

The routes come from the URL map: a new one is tested without a change here, as long as the names of its parameters are
in `ids_of` and the fields that it needs in `body_of`. An outsider's request is made twice, in a world where the owner's
things exist and in one where they do not; nothing may tell the two apart, not even the number of queries.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.test import APIClient

from agents.api.views import SessionViewSet
from agents.models import Interrupt, Session, Task
from agentsite.accounts import create_key
from core.models import ApiKey
from memory import services as memories
from memory.models import Memory
from reviews.decisions import permissions
from reviews.models import Review
from tests.support.accounts import keyed_client_of

pytestmark = pytest.mark.django_db(transaction=True)

ELSEWHERE = ("admin/", "static/")  # pages with a login of their own
OPEN = ("", "health", "health/ready")
OPEN_WITH_DEBUG = ("schema", "docs")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
SECRET = "the owner's secret"
# Times and ids that are new in each answer; those of the owner's things stand in the address.
MADE_NOW = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Route:
    """A line of the URL map, and the methods that it answers."""

    pattern: str
    methods: tuple[str, ...]

    @property
    def has_parameters(self) -> bool:
        return bool(PARAMETER.search(self.pattern))

    def path(self, ids: dict[str, str]) -> str:
        """The path to the thing of these ids."""
        if unknown := set(PARAMETER.findall(self.pattern)) - ids.keys():
            raise AssertionError(f"/{self.pattern}: add an id of the owner's for {sorted(unknown)} to `ids_of`")
        return "/" + PARAMETER.sub(lambda found: ids[found[1]], self.pattern)


def routes(patterns: Iterable[Any] | None = None, prefix: str = "") -> Iterator[Route]:
    """All of the URL map that belongs to the API."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if path.startswith(ELSEWHERE):
            continue
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield Route(path, _methods(pattern.callback))


def closed_routes() -> list[Route]:
    return [route for route in routes() if route.pattern not in (*OPEN, *OPEN_WITH_DEBUG)]


def _methods(view: Any) -> tuple[str, ...]:
    if actions := getattr(view, "actions", None):
        return tuple(method.upper() for method in actions)
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    return tuple(method for method in METHODS if hasattr(kind, method.lower())) if kind else ("GET",)


def ids_of(task: Task, memory: Memory, review: Interrupt) -> dict[str, str]:
    """Ids of the owner's things by the names that parameters have in the URL map."""
    return {
        "user_id": task.session.user_id,
        "session_id": task.session.session_id,
        "task_id": task.task_id,
        "memory_id": str(memory.pk),
        "pk": str(review.pk),
    }


def body_of(ids: dict[str, str]) -> dict[str, Any]:
    """A body that every route finds its fields in."""
    said = {"query": "x", "memory_info": "x", "response_type": "reject", "version": 1}
    return {name: ids[name] for name in ("user_id", "session_id", "task_id")} | said


@pytest.fixture
def ids(invoke: Any, work: Any, ann: User) -> dict[str, str]:
    """Of ann's things: a task that asks, its review, a memory."""
    task = invoke(f"book the Ritz for 2 nights and remember that {SECRET}")
    work()
    memory = memories.add("ann", SECRET, source=Memory.Source.API, trusted=True)
    return ids_of(task, memory, Interrupt.objects.filter(task=task)[0])


def state() -> dict[str, Any]:
    """Whatever an outsider must not change."""
    return {
        "tasks": list(Task.objects.filter(session__user_id="ann").values_list("pk", "status", "updated_at")),
        "sessions": list(Session.objects.filter(user_id="ann").values_list("pk", "title")),
        "reviews": list(Review.objects.filter(task__session__user_id="ann").values_list("pk", "status", "version")),
        "memories": list(Memory.objects.filter(user_id="ann").values_list("pk", "status", "text")),
    }


# Who has no valid credential


def keyed(user: User, **values: Any) -> str:
    key = create_key(user, "test")
    ApiKey.objects.filter(user=user).update(**values)
    return f"Bearer {key}"


def inactive(user: User) -> str:
    User.objects.filter(pk=user.pk).update(is_active=False)
    return keyed(user)


CREDENTIALS: dict[str, Callable[[User], str]] = {
    "no key": lambda owner: "",
    "a bad key": lambda owner: "Bearer abcdefgh.ijklmnopqrstuvwxyz",
    "a revoked key": lambda owner: keyed(owner, revoked=True),
    "an expired key": lambda owner: keyed(owner, expiry_date=timezone.now() - timedelta(seconds=1)),
    "a key of an inactive user": inactive,
}


def admitted(client: APIClient, ids: dict[str, str]) -> list[str]:
    """The closed routes that do not answer this client with a 401."""
    found = []
    closed = closed_routes()
    for route in closed:
        for method in METHODS:
            response = client.generic(method, route.path(ids), **_sent(method, body_of(ids)))
            if response.status_code != 401 or not response.headers.get("WWW-Authenticate"):
                found.append(f"{method} /{route.pattern}: {response.status_code}")
    print(f"{len(closed) * len(METHODS)} cases")
    return found


def _sent(method: str, body: dict[str, Any]) -> dict[str, Any]:
    if method in ("GET", "HEAD"):
        return {}
    return {"data": json.dumps(body), "content_type": "application/json"}


@pytest.mark.parametrize("who", CREDENTIALS)
def test_without_a_valid_credential_everything_is_a_401(who: str, ids: dict[str, str], ann: User) -> None:
    client, before = APIClient(), state()
    if credential := CREDENTIALS[who](ann):
        client.credentials(HTTP_AUTHORIZATION=credential)
    assert admitted(client, ids) == []
    assert state() == before


def test_a_valid_key_is_no_401(ids: dict[str, str], ann: User) -> None:
    assert len(admitted(keyed_client_of(ann), ids)) > len(list(routes()))


@pytest.mark.parametrize("path", OPEN)
def test_the_open_routes_are_open(path: str) -> None:
    assert APIClient().get(f"/{path}").status_code == 200


# Who has a key, and no right to the owner's things


@dataclass(frozen=True)
class Seen:
    """All that a client can tell of an answer: what it says, and how many queries it took. 0: it did harm."""

    status: int
    body: str
    queries: int


def seen(client: APIClient, method: str, path: str, body: dict[str, Any], *, exists: bool) -> Seen:
    """The answer in a world where the owner's things exist or do not. Whatever was changed is taken back."""
    cache.clear()
    with transaction.atomic():
        if not exists:
            Session.objects.filter(user_id="ann").delete()
            Memory.objects.filter(user_id="ann").delete()
        before = state()
        with CaptureQueriesContext(connection) as queries:
            response = client.generic(method, path, **_sent(method, body))
        changed = state() != before
        transaction.set_rollback(True)
    text = response.content.decode()
    return Seen(0 if changed or SECRET in text else response.status_code, MADE_NOW.sub("…", text), len(queries))


def leaks(client: APIClient, ids: dict[str, str], *, foreign_owner: bool) -> list[str]:
    """Where an outsider with these ids learns or changes something."""
    found, count = [], 0
    for route in closed_routes():
        path, body = route.path(ids), body_of(ids)
        for method in route.methods:
            count += 1
            real, missing = (seen(client, method, path, body, exists=exists) for exists in (True, False))
            # Without an id there is no owner to name: it is the outsider's own.
            closed = foreign_owner and (route.has_parameters or method not in ("GET", "HEAD"))
            if real != missing or real.status == 0 or (closed and real.status not in (403, 404)):
                found.append(f"{method} /{route.pattern}: {real}, where there is nothing: {missing}")
    print(f"{count} cases")
    return found


@pytest.fixture
def outsider(bob: User) -> APIClient:
    return keyed_client_of(bob)


def test_an_outsider_learns_and_changes_nothing(outsider: APIClient, ids: dict[str, str]) -> None:
    assert leaks(outsider, ids, foreign_owner=True) == []


def test_an_outsider_gets_nowhere_with_the_owners_ids_under_its_own_name(
    outsider: APIClient, ids: dict[str, str]
) -> None:
    assert leaks(outsider, {**ids, "user_id": "bob"}, foreign_owner=False) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [("invoke", 403), ("session", 403), ("write/longterm", 403), ("resume", 404), ("cancel", 404)],
)
def test_making_for_another_owner_is_a_403_and_changing_a_404(
    outsider: APIClient, ids: dict[str, str], path: str, status: int
) -> None:
    assert outsider.post(f"/agent/{path}", body_of(ids)).status_code == status


# That these tests can fail


def test_a_parameter_without_an_id_says_what_to_add(ids: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match=r"/things/<int:thing_id>: add .*'thing_id'.* to `ids_of`"):
        Route("things/<int:thing_id>", ("GET",)).path(ids)


def test_control_a_view_that_asks_for_no_credential_is_found(ids: dict[str, str], monkeypatch: Any) -> None:
    monkeypatch.setattr(SessionViewSet, "permission_classes", [AllowAny])
    found = admitted(APIClient(), ids)
    assert "OPTIONS /agent/session/<str:user_id>/<str:session_id>: 200" in found


@pytest.mark.parametrize("room", ["agents", "memory", "reviews"])
def test_control_a_view_without_the_owners_check_is_found(
    outsider: APIClient, ids: dict[str, str], monkeypatch: Any, room: str
) -> None:
    monkeypatch.setattr(f"{room}.api.views.require_to_read", lambda principal, user_id: None)
    assert leaks(outsider, ids, foreign_owner=True)


def test_control_a_list_of_everybodys_rows_is_found(outsider: APIClient, ids: dict[str, str], monkeypatch: Any) -> None:
    monkeypatch.setattr(permissions, "visible", lambda principal: Review.objects.select_related("task__session"))
    assert any(line.startswith("GET /reviews:") for line in leaks(outsider, ids, foreign_owner=True))
