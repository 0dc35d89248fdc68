"""What is read from an error of a model's endpoint: the kind, the way to go on, and words for the user.

The errors are those of real clients; that each of them comes about so is in test_endpoint_errors.py.
"""

import json
import time
from email.utils import formatdate
from typing import Any

import httpx2
import openai
import pytest

from agents.runtime.endpoints import errors

REQUEST = httpx2.Request("POST", "http://model.example/v1/chat/completions")


def response(body: Any = None, status: int = 400, **headers: str) -> httpx2.Response:
    text = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, text=text, headers=named, request=REQUEST)


def refusal(body: Any = None, status: int = 400, **headers: str) -> openai.APIStatusError:
    return openai.APIStatusError("refused", response=response(body, status, **headers), body=body)


def read(body: Any = None, status: int = 400, **headers: str) -> errors.Failure:
    return errors.read(refusal(body, status, **headers))


def words(body: Any) -> str:
    """What the user is told that the endpoint said."""
    return read(body).explanation.partition(" It said: ")[2]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("insufficient_quota", 402),
        ("rateLimitExceeded", 429),
        ("Too Many Requests", 429),
        ("RESOURCE_EXHAUSTED", 429),
        ("ThrottlingException", 429),
        ("overloaded_error", 529),
        ("DEADLINE_EXCEEDED", 504),
        ("service-unavailable", 503),
        ("internal_server_error", 500),
        ("internal", 500),
        ("UNAUTHENTICATED", 401),
        ("PERMISSION_DENIED", 403),
        ("model_not_found", 404),
        ("invalid_request_error", 400),
        ("503", 503),
        (429, 429),
    ],
)
@pytest.mark.parametrize("key", ["code", "type", "status"])
def test_a_code_stands_for_a_status(code: Any, status: int, key: str) -> None:
    assert read({"error": {key: code}}).kind == f"http_{status}"
    assert read({key: code}).kind == f"http_{status}"


@pytest.mark.parametrize(
    "code", [None, True, 200, 99, 600, "200", "4000", "٤٢٩", "", "weird", [], {"code": 429}, 429.0]
)
def test_what_is_no_code_leaves_the_status(code: Any) -> None:
    assert read({"error": {"code": code}}, 418).kind == "http_418"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "not_found", "http_404"),
        (403, "insufficient_quota", "http_402"),
        (429, "insufficient_quota", "http_402"),
        (404, "overloaded", "http_529"),
        (404, "invalid", "http_404"),
        (500, "invalid", "http_500"),
        (500, "rate_limit", "http_429"),
    ],
)
def test_the_code_counts_where_it_says_more_than_the_status(status: int, code: str, kind: str) -> None:
    assert read({"error": {"code": code}}, status).kind == kind


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529, 599])
def test_these_may_pass(status: int) -> None:
    assert read("", status).passing
    assert not read("", status, x_should_retry="false").passing


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 418, 422])
def test_these_do_not(status: int) -> None:
    assert not read("", status).passing
    assert read("", status, x_should_retry="true").passing
    assert not read("", status, x_should_retry="perhaps").passing


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": " 1.5 "}, 1.5),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after_ms": "250", "retry_after": "7"}, 0.25),
        ({"retry_after_ms": "soon", "retry_after": "7"}, 7.0),
        ({"retry_after_ms": "0", "retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "-1"}, 0.0),
        ({"retry_after": "nan"}, 0.0),
        ({"retry_after": "inf"}, 0.0),
        ({"retry_after": "1e999"}, 0.0),
        ({"retry_after": "tomorrow"}, 0.0),
        ({"retry_after": ""}, 0.0),
        ({"retry_after": formatdate(0, usegmt=True)}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_wait_is_the_one_that_is_asked_for(headers: Any, seconds: float) -> None:
    failure = read("", 429, **headers)
    assert failure.wait == seconds
    assert ("It asks to wait" in failure.explanation) is bool(seconds)


def test_a_date_ahead_is_a_wait() -> None:
    assert 50 < read("", 429, retry_after=formatdate(time.time() + 60, usegmt=True)).wait <= 60


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "No such model."}}, "No such model."),
        ({"error": "No such model."}, "No such model."),
        ([{"error": {"message": "No such model."}}], "No such model."),
        ({"detail": [{"loc": ["body", "n"], "msg": "too small"}, {"msg": "too old"}]}, "body.n: too small; too old"),
        ({"message": "", "error": {"msg": None, "reason": "asleep"}}, "asleep"),
        ({"errors": ["one", None, 2]}, "one; 2"),
        ({"weird": {"deep": 1}}, '{"weird": {"deep": 1}}'),
        ("plain\n  words", "plain words"),
        ("<html><head><style>p {}</style></head><body><h1>502</h1> Bad gateway</body></html>", "502 Bad gateway"),
        ("<script>let x = '<p>", ""),
        ('data: {"error": {"message": "first"}}\n\ndata: {"error": {"message": "last"}}\n', "last"),
        ("a\x00b", "a\N{REPLACEMENT CHARACTER}b"),
        ({"error": {"error": {"error": {"error": {"error": {"error": "deep"}}}}}}, "{'error': 'deep'}"),
    ],
)
def test_the_endpoints_words_are_found_whatever_their_shape(body: Any, said: str) -> None:
    assert words(body) == said


def test_long_words_are_cut_and_a_page_of_tags_is_no_trap() -> None:
    assert len(words("x" * 100_000)) == errors.WORDS
    assert len(words("<" * 100_000)) == errors.WORDS


@pytest.mark.parametrize("key", ["sk-proj-abcdefghijklmnop", "sk-ant-api03-ABCDEFGHIJ_kl", "my-own-secret-key"])
def test_no_key_is_told(key: str, settings: Any) -> None:
    settings.OPENAI_API_KEY = "my-own-secret-key"
    assert words(f"Incorrect API key provided: {key}.") == "Incorrect API key provided: ***."


def test_a_short_key_does_not_blank_out_words(settings: Any) -> None:
    settings.OPENAI_API_KEY = "model"
    assert words("no such model") == "no such model"


def test_a_failure_is_found_among_the_causes_of_an_error() -> None:
    try:
        try:
            raise refusal({"error": {"message": "busy"}}, 503)
        except openai.APIStatusError as error:
            raise RuntimeError("the client gave up") from error
    except RuntimeError as outer:
        failure = errors.read(outer)
    assert (failure.kind, failure.passing) == ("http_503", True)
    assert "busy" in failure.explanation


def test_one_that_was_raised_from_none_is_not() -> None:
    try:
        try:
            raise refusal({"error": {"message": "busy"}}, 503)
        except openai.APIStatusError:
            raise RuntimeError("a fault of ours") from None
    except RuntimeError as outer:
        failure = errors.read(outer)
    assert (failure.kind, failure.passing) == ("no_completion", False)
    assert "failed in the client (RuntimeError)" in failure.explanation


def test_causes_without_end_are_read_to_an_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert errors.read(one).kind == "no_completion"


@pytest.mark.parametrize(
    ("error", "kind", "passing"),
    [
        (TimeoutError(), "timeout", True),
        (openai.APITimeoutError(REQUEST), "timeout", True),
        (httpx2.ReadTimeout("slow"), "timeout", True),
        (ConnectionRefusedError(), "connection", True),
        (openai.APIConnectionError(request=REQUEST), "connection", True),
        (httpx2.RemoteProtocolError("hung up"), "connection", True),
        (KeyError("choices"), "no_completion", False),
    ],
)
def test_without_an_answer_the_kind_of_the_error_decides(error: Exception, kind: str, passing: bool) -> None:
    failure = errors.read(error)
    assert (failure.kind, failure.passing, failure.wait) == (kind, passing, 0.0)


@pytest.mark.parametrize("body", ["", "  ", '{"choices": [', "[1,"])
def test_an_answer_that_ends_too_early_broke_off(body: str) -> None:
    failure = errors.read(ValueError("no JSON"), response(body, 200))
    assert (failure.kind, failure.passing) == ("connection", True)
    assert "broke off before its end" in failure.explanation


@pytest.mark.parametrize(
    ("body", "explanation"),
    [
        ("<html>Log in</html>", "something that is not a chat completion"),
        ({"choices": None}, "something that is not a chat completion"),
        ({"message": "not today"}, "an error instead of a completion"),
    ],
)
def test_another_answer_is_told_as_what_it_is(body: Any, explanation: str) -> None:
    failure = errors.read(TypeError("no choices"), response(body, 200))
    assert (failure.kind, failure.passing) == ("no_completion", False)
    assert explanation in failure.explanation


@pytest.mark.parametrize(
    ("error", "is_one"),
    [(refusal(), True), (ValueError("x"), False), (ConnectionRefusedError(), False), (httpx2.ReadTimeout("x"), False)],
)
def test_a_graph_without_the_middleware_knows_an_endpoints_refusal(error: Exception, is_one: bool) -> None:
    assert errors.is_endpoints(error) is is_one
