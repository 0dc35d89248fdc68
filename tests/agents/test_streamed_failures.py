"""Model calls that somebody listens to and that fail: as without a listener."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agents.runtime import runner
from agents.runtime.run_context import Run
from tests.support.endpoint import says
from tests.support.hearing import Keeper
from tests.support.helpers import again, answer_of, messages_of
from tests.support.streams import DONE, chunk, event, goes_on, streams, words

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[..., Any]
STARTED = event(chunk({"role": "assistant", "content": "Half of "}))


@pytest.fixture
def keeper(monkeypatch: Any) -> Keeper:
    """A listener to all runs."""
    one = Keeper()
    monkeypatch.setattr(runner, "Run", partial(Run, listener=one))
    return one


def test_the_finished_message_has_the_id_under_which_it_was_told(ask: Ask, keeper: Keeper) -> None:
    task = ask(streams(words("Do", "ne.")))[1]
    (told,) = keeper.answers
    message = messages_of(task)[-1]
    assert (message["id"], message["content"], keeper.text) == (told.message_id, "Done.", "Done.")
    assert "agentsite_message_id" not in json.dumps(again(task).result)


def test_each_request_of_a_task_is_told_under_an_id_of_its_own(keeper: Keeper, invoke: Any, work: Any) -> None:
    task = invoke("multiply 6 by 7 then multiply 2 by 3")
    work()
    said = [message["id"] for message in messages_of(task) if message["type"] == "ai"]
    assert [told.message_id for told in keeper.answers] == said
    assert keeper.ends == ["end"] * 3


BROKEN = {
    "the connection is cut": streams(STARTED, cut=True),
    "it ends in the midst of an event": streams(STARTED, STARTED[:30]),
    "it ends too early": streams(STARTED),
    "it ends within a letter": streams(STARTED, b'data: {"choices": [{"delta": {"content": "\xf0\x9f'),
    "what comes is no UTF-8": streams(STARTED, b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n', DONE),
    "what comes is no JSON": streams(STARTED, "data: {not json}\n\n", words("Done.")),
    "nothing comes": streams(""),
}


@pytest.mark.parametrize("how", BROKEN)
def test_of_half_an_answer_nothing_counts(ask: Ask, keeper: Keeper, how: str) -> None:
    server, task = ask(BROKEN[how], streams(words("Done.")), retry=10)
    assert answer_of(task) == "Done."
    assert (len(server.requests), keeper.ends) == (2, ["abandoned", "end"])


@pytest.mark.parametrize("how", BROKEN)
def test_half_an_answer_is_told_as_an_unstreamed_one(ask: Ask, keeper: Keeper, how: str) -> None:
    task = ask(BROKEN[how])[1]
    assert task.status == "error"
    assert "broke off before its end" in task.message
    assert set(keeper.ends) == {"abandoned"}


ERRORS: list[tuple[Any, str]] = [
    ({"error": {"code": 429, "message": "the words"}}, "rate limit"),
    ({"error": {"code": "server_error", "message": "the words"}}, "HTTP 500"),
    ({"error": {"type": "overloaded_error", "message": "the words"}}, "HTTP 529"),
    ({"error": {"code": "insufficient_quota", "message": "the words"}}, "quota"),
    ({"error": {"type": "invalid_request_error", "message": "the words"}}, "refused the request"),
    ({"error": {"message": "the words"}}, "an error instead of a completion"),
    ({"error": "the words"}, "an error instead of a completion"),
    ({"message": "the words", "choices": None}, "an error instead of a completion"),
    ([{"error": {"message": "the words"}}], "not a chat completion"),
    ({"choices": "the words"}, "not a chat completion"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("error", "said"), ERRORS)
def test_an_error_within_a_stream_is_read_as_that_of_a_body(
    ask: Ask, keeper: Keeper, error: Any, said: str, stream: bool
) -> None:
    server, task = ask(streams(event(error), DONE) if stream else says(error), retry=0.3)
    assert said in task.message
    assert "the words" in task.message
    passing = said in ("rate limit", "HTTP 500", "HTTP 529")
    assert (len(server.requests) > 1) == passing
    assert set(keeper.ends) == {"abandoned"}


@pytest.mark.parametrize("name", ["error: ", "event: error\ndata: "])
def test_an_error_after_some_text_is_one_too(ask: Ask, keeper: Keeper, name: str) -> None:
    body = {"code": 503, "message": "the words"}
    error = event({"error": body}) if name == "error: " else f"{name}{json.dumps(body)}\n\n"
    server, task = ask(streams(STARTED, error, DONE), streams(words("Done.")), retry=10)
    assert answer_of(task) == "Done."
    assert (len(server.requests), keeper.ends) == (2, ["abandoned", "end"])


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_refused_request_is_told_as_ever(ask: Ask, keeper: Keeper, status: int) -> None:
    server, task = ask(says({"error": {"message": "the words"}}, status))
    assert (task.status, "the words" in task.message, server.requests[0]["stream"]) == ("error", True, True)
    assert keeper.ends == ["abandoned"] * len(server.requests)


ENDLESS = {
    "a drip": goes_on(STARTED, event(chunk({"content": "more "})), pause=0.1),
    "a flood": goes_on(STARTED, event(chunk({"content": "more "}))),
    "one line": goes_on(STARTED, "data", pause=0.1),
    "keep-alives": goes_on(STARTED, ": still there\n\n", pause=0.1),
    "silence": streams(STARTED, STARTED, pause=30),
}


@pytest.mark.parametrize("how", ENDLESS)
def test_the_whole_answer_has_a_time_out(ask: Ask, keeper: Keeper, how: str) -> None:
    begun = time.monotonic()
    server, task = ask(ENDLESS[how], timeout=1.0)
    assert time.monotonic() - begun < 6
    assert "did not answer within 1 s" in task.message
    assert set(keeper.ends) == {"abandoned"}
    if how != "silence":
        time.sleep(0.3)
        assert server.open == 0


def test_a_page_in_place_of_an_answer_is_told(ask: Ask, keeper: Keeper) -> None:
    task = ask(says("<html><body>It works!</body></html>", content_type="text/html"))[1]
    assert "not a chat completion" in task.message
    assert "It works!" in task.message
    assert keeper.ends == ["abandoned"]
