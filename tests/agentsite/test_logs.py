"""Log lines: their two forms, what the context adds to them, and that no secret stands in one."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from structlog.contextvars import bound_contextvars

from agentsite.observability import logs
from tests.agentsite.test_settings import manage
from tests.support.logs import written

logger = logging.getLogger("agents.probe")

OWN_KEY = "aB3dE6gH." + "x1Y2" * 8
LEAKS = {
    "our own key": (f"key {OWN_KEY} was used", "x1Y2x1Y2"),
    "the model's key": ("sent opaque+key/of=a-provider to it", "opaque+key"),
    "Django's key": ("signed with django-secret-key-0123456789", "django-secret"),
    "the database's password": ("connecting to postgres://agent:p%40ss-of-the-db@db.example.com/x", "ss-of-the-db"),
    "the same, decoded": ("password authentication with p@ss-of-the-db failed", "ss-of-the-db"),
    "Redis' password": ("Error 111 connecting to rediss://:password-of-redis@redis.example.com", "password-of-redis"),
    "the mail password": ("535 login robot password-of-mail refused", "password-of-mail"),
    "a short password of a URL": ("amqp://guest:pw@host/ is away", "pw@"),
    "a header": ("Authorization: Bearer abcdefghijkl", "abcdefghijkl"),
    "a basic header": ("sent authorization=Basic dXNlcjpwYXNz to it", "dXNlcjpwYXNz"),
    "a header in a dict": ("{'Authorization': 'Token abc def', 'Accept': '*/*'}", "abc def"),
    "a header in bytes": ("[(b'authorization', b'Bearer zyxwvuts')]", "zyxwvuts"),
    "a Bearer credential": ("the credential was bearer abcdefghijkl", "abcdefghijkl"),
    "a password in a dump": ("{'user': 'x', 'password': 'hunter 2', 'port': 1}", "hunter 2"),
    "a password in a conninfo": ("host=x password=hunter2 dbname=y", "hunter2"),
    "a key of OpenAI": ("Incorrect API key provided: sk-proj-abc123def456", "abc123def456"),
    "a key as OpenAI quotes it": ("Incorrect API key provided: sk-abcde***********wxyz.", "wxyz"),
}


@pytest.fixture(params=["line", "json"])
def log(request: Any) -> Any:
    """The text of what a test logs, in each of the two forms."""
    with written(request.param) as lines:
        yield lambda: "\n".join(lines())


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("kind", LEAKS)
def test_a_secret_in_an_event_is_removed(log: Any, kind: str) -> None:
    text, secret = LEAKS[kind]
    logger.info(text)
    assert secret not in log()
    assert logs.REDACTED in log()


@pytest.mark.parametrize("kind", LEAKS)
def test_a_secret_in_an_argument_is_removed(log: Any, kind: str) -> None:
    text, secret = LEAKS[kind]
    logger.info("it failed: %s, again", ValueError(text))
    assert secret not in log()


@pytest.mark.parametrize("kind", LEAKS)
def test_a_secret_in_a_traceback_is_removed(log: Any, kind: str) -> None:
    text, secret = LEAKS[kind]
    try:
        fail(text)
    except ValueError:
        logger.exception("it failed")
    assert "ValueError" in log()
    assert secret not in log()


@pytest.mark.parametrize("kind", LEAKS)
def test_a_secret_in_the_cause_of_an_exception_is_removed(log: Any, kind: str) -> None:
    text, secret = LEAKS[kind]
    try:
        try:
            fail(text)
        except ValueError as cause:
            raise RuntimeError("no more") from cause
    except RuntimeError:
        logger.exception("it failed")
    assert "direct cause" in log()
    assert secret not in log()


def test_what_is_no_secret_stays(log: Any) -> None:
    logger.info(
        "task-12345678 at http://host:8000/a@b is a risk-assessment by not-a-secret-value, v1.2.3; Authorization"
    )
    assert "task-12345678 at http://host:8000/a@b is a risk-assessment by not-a-secret-value" in log()
    assert logs.REDACTED not in log()


def test_a_key_can_still_be_told_by_its_prefix(log: Any) -> None:
    logger.info("key %s", OWN_KEY)
    assert "key aB3dE6gH.[redacted]" in log()


def test_an_environment_without_secrets_redacts_by_form_alone() -> None:
    redact = logs.Redaction(logs.secrets_of({"OPENAI_API_KEY": "short", "HOME": "/root"}))
    assert redact("a short way to /root, sk-abcdefgh") == "a short way to /root, sk-[redacted]"


def test_a_long_line_is_redacted_in_a_moment() -> None:
    text = "a.b-c@d:" * 40_000 + OWN_KEY
    assert logs.Redaction(["x" * 8])(text).endswith(".[redacted]")


def test_a_line_reads_as_before(line_log: Callable[[], list[str]]) -> None:
    logger.warning("task %s: pending", "t1")
    moment, rest = line_log()[0][:23], line_log()[0][23:]
    assert rest == " WARNING agents.probe: task t1: pending"
    assert [moment[4], moment[10], moment[19]] == ["-", " ", "."]


def test_a_line_tells_the_request_where_there_is_one(line_log: Callable[[], list[str]]) -> None:
    with bound_contextvars(request_id="r-1", task="t1"):
        logger.info("working")
    assert line_log()[0].endswith("agents.probe: working [request r-1]")


def test_an_event_can_not_forge_a_second_line(line_log: Callable[[], list[str]]) -> None:
    logger.info("it said: %s", "no\n2026-01-01 ERROR root: all is lost\r\x1b[2J")
    assert len(line_log()) == 1
    assert "\x1b" not in line_log()[0]


def test_a_traceback_stands_below_its_line(line_log: Callable[[], list[str]]) -> None:
    try:
        fail("no")
    except ValueError:
        logger.exception("it failed", stack_info=True)
    assert line_log()[0].endswith("it failed")
    assert "ValueError: no" in line_log()
    assert any(line.startswith("Stack (most recent call last)") for line in line_log())


def test_json_has_one_object_an_event_with_the_named_fields(json_log: Callable[[], list[Any]]) -> None:
    with bound_contextvars(request_id="r-1", task="t1"):
        logger.info("it said: %s", "two\nlines")
    event = json_log()[0]
    assert list(event)[:4] == ["timestamp", "level", "logger", "event"]
    assert event["timestamp"].endswith("Z")
    expected = {"level": "info", "logger": "agents.probe", "event": "it said: two\nlines", "request_id": "r-1"}
    assert {**expected, "task": "t1"}.items() <= event.items()


def test_an_exception_is_one_text_in_json(json_log: Callable[[], list[Any]]) -> None:
    try:
        fail("no")
    except ValueError:
        logger.exception("it failed")
    assert len(json_log()) == 1
    assert json_log()[0]["exception"].endswith("ValueError: no")


def test_json_leaves_out_what_is_not_known(json_log: Callable[[], list[Any]]) -> None:
    with bound_contextvars(request_id="", task=None):
        logger.info("working")
    assert set(json_log()[0]) == {"timestamp", "level", "logger", "event"}


def test_a_value_of_any_kind_becomes_json(json_log: Callable[[], list[Any]]) -> None:
    with bound_contextvars(odd=ValueError("of sk-abcdefgh"), count=3):
        logger.info("working")
    assert json_log()[0]["odd"] == "of sk-[redacted]"
    assert json_log()[0]["count"] == 3


def test_only_two_formats_are_known() -> None:
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT must be line or json"):
        logs.config("xml", "INFO", {})


def test_an_unknown_format_is_one_line_at_the_start() -> None:
    done = manage("check", DEBUG="true", LOG_FORMAT="xml")
    assert done.returncode == 1
    assert done.stderr == "Agentsite is not configured: LOG_FORMAT must be line or json, not 'xml'.\n"


def test_a_process_writes_json_when_it_is_told_to() -> None:
    code = "import logging; logging.getLogger('django.request').error('key sk-abcdefgh')"
    done = manage("shell", "--no-imports", "-c", code, DEBUG="true", LOG_FORMAT="json")
    lines = done.stderr.splitlines()
    assert len(lines) == 1, "Django's own handlers would write it again"
    assert json.loads(lines[0])["event"] == "key sk-[redacted]"


def test_json_is_safe_on_any_terminal(json_log: Callable[[], list[Any]]) -> None:
    logger.info("\ud800 你好")
    assert json_log()[0]["event"] == "\ud800 你好"
