"""What a model's endpoint says when it fails, whatever its shape and whoever made it: told, logged, retried or not."""

import importlib
import json
import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from django.conf import settings
from langchain_openai import ChatOpenAI
from langgraph.graph import MessagesState, StateGraph
from pydantic import SecretStr

from agents.runtime.registry import Agent
from tests.support.endpoint import (
    anthropic_message,
    breaks_off,
    completion,
    ollama_message,
    says,
    trickles,
)
from tests.support.helpers import answer_of

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Before anything is timed: the providers' packages take seconds."""
    for name in ("langchain_anthropic", "langchain_ollama", "langchain_openai"):
        importlib.import_module(name)


FINE = {"openai": completion(), "anthropic": anthropic_message(), "ollama": ollama_message()}
PROVIDERS = list(FINE)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_answers(ask: Ask, provider: str) -> None:
    assert "Done." in answer_of(ask(says(FINE[provider]), provider=provider)[1])


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_passing_failure_is_retried(ask: Ask, provider: str, status: int) -> None:
    server, task = ask(says({"error": "later"}, status), says(FINE[provider]), provider=provider, retry=10)
    assert "Done." in answer_of(task)
    assert len(server.requests) == 2


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("status", "said"),
    [(400, "refused the request"), (401, "API key"), (403, "denied access"), (404, "doesn't have this model")],
)
def test_a_lasting_failure_is_told_at_once(ask: Ask, provider: str, status: int, said: str) -> None:
    body = {"error": {"type": "some_error", "message": "the reason of it"}}
    server, task = ask(says(body, status), provider=provider, retry=10)
    assert (task.status, len(server.requests)) == ("error", 1)
    assert said in task.message
    assert "the reason of it" in task.message


SHAPES: list[tuple[Any, str, int]] = [
    ([{"error": {"code": 400, "message": "words in a list"}}], "words in a list", 400),
    ({"detail": "words of detail"}, "words of detail", 400),
    ({"detail": [{"loc": ["body", "tools"], "msg": "field required"}]}, "body.tools: field required", 422),
    ({"message": "words of message", "object": "error"}, "words of message", 400),
    ("plain words", "plain words", 400),
    ("<html><title>502</title><body><p>words of a page</p></body></html>", "words of a page", 404),
    ({"error": "only a text"}, "only a text", 400),
    ({"error": {"message": {"deep": {"reason": "words deep down"}}}}, "words deep down", 400),
    ({"errors": ["first words", "second words"]}, "first words; second words", 400),
    ({"error": {"message": "in a good status"}}, "in a good status", 200),
    ({"error": "a text in a good status"}, "a text in a good status", 200),
    ({"message": "no room", "choices": None}, "no room", 200),
    ({"detail": "out of order"}, "out of order", 200),
    ({"choices": None, "note": "a wrong shape"}, "a wrong shape", 200),
    ({"choices": [], "note": "an empty shape"}, "an empty shape", 200),
    ("<html><style>p {color: red}</style><body>It works!</body></html>", "It works!", 200),
    ("<a" * 5000 + ">words behind many tags", "<a", 400),
    ('{"error": ' * 900 + '"deep words"' + "}" * 900, "error", 400),
]


@pytest.mark.parametrize(("body", "said", "status"), SHAPES)
def test_the_endpoints_words_are_told_and_logged(ask: Ask, caplog: Any, body: Any, said: str, status: int) -> None:
    kind = "text/html" if isinstance(body, str) else "application/json"
    task = ask(says(body, status, kind))[1]
    assert task.status == "error"
    assert said in task.message
    logged = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR and "model call" in one.msg]
    assert len(logged) == 1
    assert said in logged[0]


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("anthropic", {"type": "error", "error": {"type": "invalid_request_error", "message": "words within"}}),
        ("anthropic", {"detail": "words within"}),
        ("ollama", '{"error": "words within"}\n'),
        ("ollama", "<html>words within</html>"),
    ],
)
def test_other_providers_words_are_told_in_a_good_status_too(ask: Ask, provider: str, body: Any) -> None:
    assert "words within" in ask(says(body), provider=provider)[1].message


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": 429, "message": "m"}},
        {"error": {"code": "503", "message": "m"}},
        {"error": {"code": "rate_limit_exceeded", "message": "m"}},
        {"error": {"type": "overloaded_error", "message": "m"}},
        {"error": {"code": 8, "status": "RESOURCE_EXHAUSTED", "message": "m"}},
        {"error": {"status": "rateLimitExceeded", "message": "m"}},
        {"code": 502, "message": "m"},
        {"object": "error", "type": "InternalServerError", "message": "m"},
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_code_in_the_body_counts_more_than_the_status(ask: Ask, error: Any, status: int) -> None:
    server, task = ask(says(error, status), says(completion()), retry=10)
    assert "Done." in answer_of(task)
    assert len(server.requests) == 2


def test_a_quota_that_is_used_up_is_not_asked_again(ask: Ask) -> None:
    error = {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}
    server, task = ask(says(error, 429), retry=10)
    assert len(server.requests) == 1
    assert "You exceeded your current quota" in task.message


@pytest.mark.parametrize("provider", PROVIDERS)
def test_half_an_answer_is_asked_again_and_told(ask: Ask, provider: str) -> None:
    broken = breaks_off(FINE[provider])
    server, task = ask(broken, says(FINE[provider]), provider=provider, retry=10)
    assert "Done." in answer_of(task)
    assert len(server.requests) == 2


@pytest.mark.parametrize("body", ['{"id": "c", "choi', "", '{"id": "c", "choices": [{"index": 0, "mess'])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_json_that_ends_too_early_is_half_an_answer(ask: Ask, body: str, kind: str) -> None:
    server, task = ask(says(body, content_type=kind))
    assert "broke off" in task.message
    server, task = ask(says(body, content_type=kind), says(completion()), retry=10)
    assert len(server.requests) == 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_endpoint_that_is_not_there_is_told(ask: Ask, provider: str) -> None:
    assert "can't be reached" in ask(says(""), provider=provider, url="http://127.0.0.1:9")[1].message


@pytest.mark.parametrize("provider", PROVIDERS)
def test_retry_after_is_honoured(ask: Ask, provider: str) -> None:
    begun = time.monotonic()
    later = says({"error": "later"}, 429, Retry_After="2")
    task = ask(later, says(FINE[provider]), provider=provider, retry=10)[1]
    assert "Done." in answer_of(task)
    assert 2 <= time.monotonic() - begun < 6


def test_retry_after_may_be_a_date(ask: Ask) -> None:
    begun = time.monotonic()
    ask(says({"error": "l"}, 503, Retry_After=formatdate(time.time() + 4, usegmt=True)), says(completion()), retry=10)
    assert 2 < time.monotonic() - begun < 8


def test_a_wait_beyond_our_patience_ends_the_call_at_once(ask: Ask) -> None:
    begun = time.monotonic()
    server, task = ask(says({"error": "l"}, 429, Retry_After="3600"), retry=10)
    assert time.monotonic() - begun < 5
    assert len(server.requests) == 1
    assert "asks to wait 3600 s" in task.message


@pytest.mark.parametrize("asked", ["0", "-1", "nan", "soon", "0.001"])
def test_an_odd_retry_after_leads_to_no_storm(ask: Ask, asked: str) -> None:
    server = ask(says({"error": "l"}, 429, Retry_After=asked), retry=3, wait=1)[0]
    assert 2 <= len(server.requests) <= 4


@pytest.mark.parametrize(("said", "requests"), [("true", 2), ("false", 1)])
def test_the_endpoints_own_word_on_retries_counts(ask: Ask, said: str, requests: int) -> None:
    status = 400 if said == "true" else 503
    server = ask(says({"error": "l"}, status, x_should_retry=said), says(completion()), retry=10)[0]
    assert len(server.requests) == requests


SLOW = {"openai": completion("x" * 500), "anthropic": anthropic_message("x" * 500), "ollama": {"x": "x" * 500}}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("how", [{}, {"in_head": True}, {"blanks": True}, {"pause": 30}])
def test_a_time_out_bounds_the_whole_request(ask: Ask, provider: str, how: dict[str, Any]) -> None:
    begun = time.monotonic()
    server, task = ask(trickles(SLOW[provider], **how), provider=provider, timeout=1.0)
    assert time.monotonic() - begun < 5
    assert "did not answer within 1 s" in task.message
    if "pause" not in how:
        time.sleep(0.5)
        assert server.open == 0  # the connection is closed: nothing goes on reading in the background


def test_what_was_too_slow_is_asked_again(ask: Ask) -> None:
    server, task = ask(trickles(SLOW["openai"]), says(completion()), timeout=1.0, retry=10)
    assert "Done." in answer_of(task)
    assert len(server.requests) == 2


def model_of_ones_own() -> ChatOpenAI:
    """A model that an operator has made, without a time-out, and which streams."""
    return ChatOpenAI(
        model="m", api_key=SecretStr("k"), base_url=settings.OPENAI_BASE_URL, streaming=True, max_retries=0
    )


OWN = f"{__name__}.model_of_ones_own"


def test_a_model_of_ones_own_has_the_same_time_out(ask: Ask) -> None:
    begun = time.monotonic()
    task = ask(trickles(SLOW["openai"], blanks=True), model=OWN, timeout=1.0)[1]
    assert time.monotonic() - begun < 5
    assert "did not answer within 1 s" in task.message


def test_an_error_in_the_midst_of_a_stream_is_told_and_retried(ask: Ask) -> None:
    event = {"error": {"code": "server_error", "message": "it broke"}}
    stream = says(f"data: {json.dumps(event)}\n\n", content_type="text/event-stream")
    server, task = ask(stream, model=OWN, retry=1)
    assert "it broke" in task.message
    assert len(server.requests) > 1


def bare_graph(agent: Agent) -> Any:
    """A graph that asks the model without the middleware."""
    graph = StateGraph(MessagesState)
    graph.add_node("ask", lambda state: {"messages": [agent.model().invoke(state["messages"])]})
    graph.set_entry_point("ask")
    return graph.compile()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_graph_without_the_middleware_tells_the_endpoints_words(ask: Ask, provider: str, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "GRAPH": f"{__name__}.bare_graph"}}
    message = ask(says({"error": {"message": "the reason of it"}}, 401), provider=provider)[1].message
    assert "refused the API key" in message
    assert "the reason of it" in message


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_graph_without_the_middleware_has_the_same_time_out(ask: Ask, provider: str, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "GRAPH": f"{__name__}.bare_graph"}}
    begun = time.monotonic()
    task = ask(trickles(SLOW[provider], blanks=True), provider=provider, timeout=1.0)[1]
    assert time.monotonic() - begun < 5
    assert "did not answer within 1 s" in task.message or "ReadTimeout" in task.message


def test_our_key_is_not_told(ask: Ask, settings: Any) -> None:
    settings.OPENAI_API_KEY = "sk-very-secret-key"
    for key in ("sk-very-secret-key", "sk-ant-very-secret-other-key"):
        task = ask(says({"error": {"message": f"Incorrect key: {key}"}}, 401))[1]
        assert "Incorrect key: ***" in task.message


def test_words_that_no_database_holds_are_told(ask: Ask) -> None:
    task = ask(says({"error": {"message": "a\x00b\ud800" + "c" * 5000}}, 400))[1]
    assert "It said: a\N{REPLACEMENT CHARACTER}b" in task.message
    assert len(task.message) < 600
