"""No input breaks the service: each case of `tests.hostile` goes to every endpoint that takes its kind.

No answer is a 5xx, none is HTML, an error always has its shape, and a request that is refused leaves nothing behind.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection

from agents.models import Interrupt, Session, Task
from agents.policy import Verdict
from agentsite.accounts import create_key
from core.db.process_cache import process
from memory import services as memories
from memory.models import Memory
from tests.hostile import addresses, bodies, headers
from tests.support import raw

pytestmark = pytest.mark.django_db

IDS = {"user_id": "ann", "session_id": "s1", "task_id": "t1"}
ROOMS = ("auth", "core", "memory", "agents", "reviews", "sessions")

Send = Callable[..., raw.Answer]


def cases(corpus: dict[str, Any]) -> Any:
    return pytest.mark.parametrize("case", corpus.values(), ids=corpus.keys())


def rows() -> list[int]:
    """How many there are in each table, in one query."""
    tables = [model._meta.db_table for room in ROOMS for model in apps.get_app_config(room).get_models()]
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"(SELECT COUNT(*) FROM {table})" for table in tables))
        return list(cursor.fetchone())


def require_sound(answer: raw.Answer, method: str) -> None:
    """What every answer has to be, whatever the question was."""
    assert answer.status < 500
    assert answer.status != 422
    assert answer.headers["content-type"] == "application/json"
    if answer.status >= 400 and method != "HEAD":
        body = answer.json()
        assert isinstance(body["detail"], str)
        assert isinstance(body["code"], str)
        assert all(isinstance(text, str) for texts in body.get("errors", {}).values() for text in texts)


@pytest.fixture(
    params=[pytest.param(True, id="debug", marks=pytest.mark.long("postgresql")), pytest.param(False, id="production")]
)
def debug(request: Any, settings: Any) -> None:
    """With DEBUG, Django would like to write a page about most of this."""
    settings.DEBUG = request.param


@pytest.fixture
def send(service: User, settings: Any) -> Iterator[Send]:
    """Send a request with the service account's key, and require that its answer is sound."""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    settings.STALENESS_SECONDS = 2  # as by default: to look the key up each time takes half of a request
    process.clear()
    key = create_key(service, "test")

    def send(method: str, path: bytes | str, query: str = "", body: bytes = b"", **environ: str) -> raw.Answer:
        before = rows()
        answer = raw.call(method, path, query, body, **{"HTTP_AUTHORIZATION": f"Bearer {key}", **environ})
        require_sound(answer, method)
        if answer.status >= 400 or method in ("GET", "HEAD"):
            assert rows() == before
        return answer

    yield send
    process.clear()  # the next test reads anew


@pytest.fixture
def asked(db: None) -> Interrupt:
    """An open review of ann's task t1."""
    session = Session.objects.create(user_id="ann", session_id="s1")
    task = Task.objects.create(session=session, task_id="t1", position=1, query="x", status="interrupted")
    verdict = Verdict("review", "test").to_text()
    return Interrupt.objects.create(
        task=task, kind="tool_call", tool="book_hotel", args_text="{}", verdict_text=verdict, graph_id="g"
    )


@pytest.fixture
def memory(db: None) -> Memory:
    return memories.add("ann", "likes tea", source=Memory.Source.API, trusted=True)


@pytest.fixture
def targets(asked: Interrupt, memory: Memory) -> list[tuple[str, str, dict[str, Any]]]:
    """Every endpoint that takes a body, with a body that it takes."""
    return [
        ("POST", "/agent/invoke", {"user_id": "ann", "session_id": "s2", "query": "x", "system_message": "y"}),
        ("POST", "/agent/resume", {**IDS, "response_type": "response", "args": "x", "message": "y"}),
        ("POST", "/agent/resume", {**IDS, "decisions": [{"interrupt_id": str(asked.pk), "response_type": "accept"}]}),
        ("POST", "/agent/cancel", {**IDS}),
        ("POST", "/agent/session", {"user_id": "ann", "session_id": "s3", "title": "x", "agent": "default"}),
        ("POST", "/agent/write/longterm", {"user_id": "ann", "memory_info": "likes jam"}),
        ("PATCH", f"/agent/longterm/ann/{memory.pk}", {"memory_info": "likes ham"}),
        ("POST", f"/reviews/{asked.pk}/decide", {"response_type": "edit", "args": {"a": 1}, "version": 1}),
    ]


LISTS = ["/agent/sessionids/ann", "/agent/tasks/ann/s1", "/agent/session/ann/s1", "/agent/longterm/ann", "/reviews"]
BY_IDS = [
    ("GET", b"/agent/status/%s/s1/t1"), ("GET", b"/agent/status/ann/%s/t1"), ("GET", b"/agent/status/ann/s1/%s"),
    ("GET", b"/agent/sessionids/%s"), ("GET", b"/agent/active/sessionid/%s"), ("GET", b"/agent/tasks/%s/s1"),
    ("GET", b"/agent/tasks/ann/%s"), ("GET", b"/agent/session/%s/s1"), ("GET", b"/agent/session/ann/%s"),
    ("GET", b"/agent/longterm/%s"), ("GET", b"/reviews/%s"), ("DELETE", b"/agent/task/ann/s1/%s"),
    ("DELETE", b"/agent/task/%s/s1/t1"), ("DELETE", b"/agent/session/ann/%s"), ("DELETE", b"/agent/longterm/ann/%s"),
]  # fmt: skip


def with_value(template: dict[str, Any], value: str) -> Iterator[bytes]:
    """The body with the value, as it is written, in the place of each of its fields."""
    for field in template:
        text = json.dumps({**template, field: "PLACE"})
        yield text.replace('"PLACE"', value).encode()


@cases(bodies.BODIES)
def test_a_broken_body_is_refused(send: Send, targets: Any, case: bytes) -> None:
    for method, path, _ in targets:
        assert send(method, path, body=case).status in (400, 413), path


def test_an_empty_body_is_an_empty_object(send: Send, targets: Any) -> None:
    assert [send(method, path).status for method, path, _ in targets] == [400, 400, 400, 400, 201, 400, 400, 400]


@cases(bodies.FORBIDDEN_VALUES)
def test_a_value_that_nothing_can_hold_is_refused(send: Send, targets: Any, case: str) -> None:
    for method, path, template in targets:
        for body in with_value(template, case):
            assert send(method, path, body=body).status == 400, path


@cases(bodies.ODD_VALUES)
def test_an_odd_value_breaks_nothing(send: Send, targets: Any, case: str) -> None:
    for method, path, template in targets:
        for body in with_value(template, case):
            assert send(method, path, body=body).status != 415, path


@cases(addresses.IMPOSSIBLE_IDS)
def test_an_id_that_is_none_is_refused(send: Send, asked: Interrupt, case: bytes) -> None:
    for method, path in BY_IDS:
        assert send(method, path % case).status in (400, 404), path


@cases(addresses.ODD_IDS)
def test_an_odd_id_breaks_nothing(send: Send, asked: Interrupt, case: bytes) -> None:
    for method, path in BY_IDS:
        assert send(method, path % case).status in (200, 404), path


@cases(addresses.BAD_QUERIES)
def test_a_bad_limit_is_refused(send: Send, asked: Interrupt, case: str) -> None:
    for path in [*LISTS, "/system/info"]:
        assert send("GET", path, case).status == 400, path


@cases(addresses.BAD_CURSORS)
def test_a_cursor_of_nobody_is_refused(send: Send, asked: Interrupt, case: str) -> None:
    for path in LISTS:
        assert send("GET", path, f"cursor={case}").status == 400, path


@cases(addresses.ODD_QUERIES)
def test_an_odd_query_breaks_nothing(send: Send, asked: Interrupt, case: str) -> None:
    for path in [*LISTS, "/system/info", "/health", "/health/ready", "/"]:
        assert send("GET", path, case).status == 200, path


@cases(headers.HEADERS)
def test_a_hostile_header_breaks_nothing(send: Send, targets: Any, debug: None, case: dict[str, str]) -> None:
    for path in [*LISTS, "/health", "/nowhere"]:
        assert send("GET", path, "x=%ff", **case).status < 500
    for method, path, template in targets:
        assert send(method, path, body=json.dumps(template).encode(), **case).status < 500


@cases(headers.BAD_KEYS)
def test_a_bad_idempotency_key_is_refused(send: Send, case: str) -> None:
    body = b'{"user_id": "ann", "query": "x"}'
    assert send("POST", "/agent/invoke", body=body, HTTP_IDEMPOTENCY_KEY=case).status == 400


@pytest.mark.parametrize("method", headers.METHODS)
def test_a_method_that_a_path_does_not_have_is_a_405(send: Send, targets: Any, debug: None, method: str) -> None:
    for path, allowed in [("/agent/invoke", ["POST"]), ("/reviews", ["GET", "HEAD"]), ("/health", ["GET", "HEAD"])]:
        answer = send(method, path)
        assert (answer.status == 405) is (method.upper() not in allowed)
        assert method.upper() in allowed or set(answer.headers["allow"].split(", ")) >= set(allowed)


@cases(addresses.PATHS)
def test_a_path_that_is_none_is_a_404(send: Send, debug: None, case: bytes) -> None:
    assert [send(method, case).status for method in ("GET", "POST", "OPTIONS")] == [404, 404, 404]


def test_the_corpus_is_large() -> None:
    values = [value for part in (addresses, bodies, headers) for name, value in vars(part).items() if name.isupper()]
    corpora = [value for value in values if isinstance(value, dict | tuple)]
    count = sum(map(len, corpora))
    print(f"{count} hostile cases")
    assert count >= 150
