"""The Python client against servers and networks that misbehave."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from agentsite_client import AgentsiteError, ApiError, AsyncClient, Client, NotInTime, Unreachable, retries, text_of
from agentsite_client.events import Decoder

from tests.support.concurrency import in_a_loop
from tests.support.odd_server import END, HEAD, Piece, chunk, event, odd_server, refusal, reply
from tests.support.processes import until

TASK: Any = {"user_id": "ann", "session_id": "s", "task_id": "t"}
OPEN = {**TASK, "status": "running"}
DONE = {**TASK, "status": "completed"}
Making = Callable[..., Client]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST", 0.01)


def watched(url: str, **options: Any) -> list[Any]:
    with Client(url, "key", **options) as client:
        return list(client.stream(TASK))


def seqs(events: list[Any]) -> list[int]:
    return [one.seq for one in events]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_bytes_may_be_cut_anywhere(newline: bytes) -> None:
    sent = (
        b"retry: 1000\n\n"
        + event(1, value="Grüße 你好 🙂")
        + b": \n\n"
        + chunk(0, "é🙂")
        + event(2, value="a\n\nb")
        + END
    )
    sent = sent.replace(b"\n", newline)
    whole = list(Decoder().feed(sent))
    assert [one.kind for one in whole] == ["custom", "chunk", "custom", "end"]
    assert [one.data for one in whole[::2]] == [{"value": "Grüße 你好 🙂"}, {"value": "a\n\nb"}]
    for cut in range(len(sent)):
        decoder = Decoder()
        assert [*decoder.feed(sent[:cut]), *decoder.feed(sent[cut:])] == whole
    decoder = Decoder()
    assert [one for byte in sent for one in decoder.feed(bytes([byte]))] == whole


@pytest.mark.parametrize("cut", [0, 5, 30, 60, -1])
def test_a_connection_that_breaks_in_an_event_loses_and_repeats_nothing(cut: int) -> None:
    second = event(2, value="你好")
    with odd_server([HEAD + event(1) + second[:cut]], [HEAD + second + event(3) + END]) as server:
        assert seqs(watched(server.url)) == [1, 2, 3, 0]
    assert server.asked == ["GET /agent/stream/ann/s/t", "GET /agent/stream/ann/s/t?after=1"]


def test_a_reader_begins_where_it_is_told_to() -> None:
    with odd_server([HEAD + END]) as server, Client(server.url, "key") as client:
        assert [one.kind for one in client.stream_session("ann", "a+b", after="7.12-8.1")] == ["end"]
    assert server.asked == ["GET /agent/session/ann/a%2Bb/stream?after=7.12-8.1"]


def test_pieces_that_are_sent_again_after_a_break_come_once() -> None:
    message = event(1, "message", id="m", type="ai", content="Hi 🙂 all")
    first = [HEAD + chunk(0, "Hi 🙂")]
    second = [HEAD + chunk(0, "Hi 🙂 a") + chunk(6, "l") + chunk(9, "gap") + message + chunk(7, "l") + END]
    with odd_server(first, second) as server:
        found = watched(server.url)
    assert [one.data["text"] for one in found if one.kind == "chunk"] == ["Hi 🙂", " a", "l"]
    assert [text_of(one.data) for one in found if one.kind == "message"] == ["Hi 🙂 all"]


def test_the_text_of_a_message_is_that_of_its_blocks() -> None:
    blocks: Any = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, "b", {"text": None, "x": 1}]
    assert text_of({"type": "ai", "id": None, "content": blocks}) == "ab"


def test_pieces_of_two_messages_and_of_reasoning_are_told_apart() -> None:
    thought = chunk(0, "hm").replace(b'"kind": "text"', b'"kind": "reasoning"')
    with odd_server([HEAD + thought + chunk(0, "a") + chunk(0, "b", "m2") + END]) as server:
        assert [one.data["text"] for one in watched(server.url)[:-1]] == ["hm", "a", "b"]


@pytest.mark.parametrize(("status", "code"), [(401, "not_authenticated"), (404, "not_found")])
def test_a_reader_who_may_not_see_the_task_any_more_gives_up(status: int, code: str) -> None:
    with odd_server([HEAD + event(1)], refusal(status, code)) as server, Client(server.url, "key") as client:
        stream = client.stream(TASK)
        assert next(stream).kind == "custom"
        with pytest.raises(ApiError) as raised:
            next(stream)
    assert (raised.value.status, raised.value.code) == (status, code)


@pytest.mark.parametrize("between", [refusal(503, "unavailable"), refusal(429, "x", Retry_After="0"), reply(502, b"<")])
def test_a_reader_outlasts_a_service_that_is_away(between: Any) -> None:
    with odd_server([HEAD + event(1)], between, [], between, [HEAD + event(2) + END]) as server:
        assert seqs(watched(server.url)) == [1, 2, 0]


def test_a_reader_gives_up_when_its_patience_ends() -> None:
    with odd_server([HEAD + event(1)]) as server, pytest.raises(Unreachable):
        watched(server.url, patience=0.2)


def test_a_silent_connection_is_replaced() -> None:
    with odd_server([HEAD + event(1), 9.0], [HEAD + event(2) + END]) as server:
        began = time.monotonic()
        assert seqs(watched(server.url, silence=0.2)) == [1, 2, 0]
    assert time.monotonic() - began < 5


def test_pieces_do_not_change_where_to_go_on() -> None:
    with odd_server([HEAD + event(1) + chunk(0, "a")], [HEAD + END]) as server:
        watched(server.url)
    assert server.asked[1] == "GET /agent/stream/ann/s/t?after=1"


def test_the_patience_begins_anew_with_each_event() -> None:
    slow: list[list[Piece]] = [[HEAD, 0.1, event(number)] for number in range(1, 8)]
    with odd_server(*slow, [HEAD + END]) as server:
        assert seqs(watched(server.url, patience=0.3)) == [1, 2, 3, 4, 5, 6, 7, 0]


@pytest.mark.parametrize(
    "sent", [b"data: {\n\n", b"data: 1\n\n", b"event: status\ndata: {}\n\n", b"event: chunk\ndata: {}\n\n"]
)
def test_an_event_that_is_none_is_said(sent: bytes) -> None:
    with odd_server([HEAD + sent]) as server, pytest.raises(AgentsiteError, match="none"):
        watched(server.url)


def test_kinds_of_a_newer_service_come_as_they_are() -> None:
    with odd_server([HEAD + event(1, "weather", sun=True) + END]) as server:
        assert next((one.kind, one.data) for one in watched(server.url)) == ("weather", {"sun": True})


def test_a_page_in_place_of_a_stream_is_an_error() -> None:
    with (
        odd_server(reply(200, b"<html>", Content_Type="text/html")) as server,
        pytest.raises(ApiError, match="no stream"),
    ):
        watched(server.url)


# Requests


def test_a_submission_is_repeated_with_the_same_ids() -> None:
    broken: Any = [b"HTTP/1.1 202 Accepted\r\nContent-Length: 90\r\n\r\n{"]
    with odd_server([], broken, reply(502, b"<html>"), refusal(503, "unavailable"), reply(202, TASK)) as server:
        with Client(server.url, "key") as client:
            assert client.invoke("hi", user_id="ann") == TASK
    assert len(server.bodies) == 5
    assert all(body == server.bodies[0] for body in server.bodies)
    assert {"session_id", "task_id", "query", "user_id"} == set(server.bodies[0])


def test_retry_after_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with odd_server(refusal(429, "rate_limited", Retry_After="7"), reply(200, DONE)) as server:
        with Client(server.url, "key") as client:
            assert client.status(TASK) == DONE
    assert slept == [7.0]


def test_a_wait_beyond_the_patience_is_left_to_the_caller() -> None:
    with odd_server(refusal(429, "too_many_tasks", Retry_After="61")) as server, Client(server.url, "key") as client:
        with pytest.raises(ApiError) as raised:
            client.invoke("hi")
    assert (raised.value.code, raised.value.retry_after) == ("too_many_tasks", 61.0)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "invalid"), (403, "forbidden"), (409, "session_busy"), (500, "error")]
)
def test_other_refusals_are_not_repeated(status: int, code: str) -> None:
    refused = reply(status, {"detail": "no", "code": code, "errors": {"query": ["Too long."]}})
    with odd_server(refused) as server, Client(server.url, "key") as client:
        with pytest.raises(ApiError, match=r"no query: Too long\.") as raised:
            client.invoke("hi")
    assert (raised.value.code, raised.value.errors, len(server.asked)) == (code, {"query": ["Too long."]}, 1)


def test_what_could_be_done_twice_is_repeated_only_if_nothing_was_done() -> None:
    with odd_server(refusal(503, "unavailable"), []) as server, Client(server.url, "key") as client:
        with pytest.raises(Unreachable) as raised:
            client.change_memory("ann", "m", "new")
    assert (raised.value.was_sent, len(server.asked)) == (True, 2)


def test_a_deletion_whose_response_was_lost_is_a_success() -> None:
    with odd_server([], refusal(404, "not_found"), refusal(404, "not_found")) as server:
        with Client(server.url, "key") as client:
            assert client.delete_session("ann", "s")["status"] == "success"
            with pytest.raises(ApiError):  # control: nothing was sent before
                client.delete_session("ann", "s")


def test_no_service_is_said_after_the_patience() -> None:
    with (
        odd_server() as server,
        Client(server.url, "key", patience=0.1) as client,
        pytest.raises(Unreachable) as raised,
    ):
        client.status(TASK)
    assert not raised.value.was_sent


def test_a_redirect_or_a_page_is_no_answer() -> None:
    with (
        odd_server(reply(301, b"", Location="https://x"), reply(200, b"<html>")) as server,
        Client(server.url, "k") as client,
    ):
        for status in (301, 200):
            with pytest.raises(ApiError) as raised:
                client.status(TASK)
            assert (raised.value.status, raised.value.code) == (status, "no_json")


def test_wait_asks_again_until_the_task_has_ended() -> None:
    with odd_server(reply(200, OPEN), [], reply(200, DONE)) as server, Client(server.url, "key") as client:
        assert client.wait(TASK) == DONE
    assert server.asked == ["GET /agent/status/ann/s/t?wait=50"] * 3


def test_wait_ends_in_time() -> None:
    with odd_server(*[reply(200, OPEN)] * 9) as server, Client(server.url, "key") as client, pytest.raises(NotInTime):
        client.wait(TASK, seconds=0.3)
    assert 2 <= len(server.asked) <= 4


def test_lists_go_on_to_the_last_page() -> None:
    pages = reply(200, {"results": [1, 2], "next": "c d"}), reply(200, {"results": [3], "next": None})
    with odd_server(*pages) as server, Client(server.url, "key") as client:
        assert list(client.reviews(status="pending")) == [1, 2, 3]
    assert server.asked == ["GET /reviews?status=pending", "GET /reviews?cursor=c+d&status=pending"]


@pytest.mark.parametrize("odd", ["", ".", ".."])
def test_an_id_that_would_be_another_path_is_refused(odd: str) -> None:
    with Client("http://127.0.0.1:9", "key") as client, pytest.raises(ValueError, match="is no ID"):
        client.status({"user_id": "ann", "session_id": "s", "task_id": odd})


def test_ids_of_any_script_reach_the_service() -> None:
    with odd_server(reply(200, DONE)) as server, Client(f"{server.url}/under/", "key") as client:
        client.status({"user_id": "安/娜", "session_id": "a|b", "task_id": "t:1"})
    assert server.asked == ["GET /under/agent/status/%E5%AE%89%2F%E5%A8%9C/a%7Cb/t%3A1"]


def test_the_client_for_asyncio_does_the_same() -> None:
    async def use(url: str) -> Any:
        async with AsyncClient(url, "key\n") as client:
            task = await client.invoke("hi", user_id="ann")
            events = [one async for one in client.stream(task)]
            return seqs(events), await client.wait(task), [one async for one in client.memories("ann")]

    stream = [HEAD + event(1) + event(2)[:20]], [HEAD + event(2) + END]
    page = reply(200, {"results": [1], "next": None})
    with odd_server(refusal(503, "x"), reply(202, TASK), *stream, reply(200, DONE), page) as server:
        assert in_a_loop(use(server.url)) == ([1, 2, 0], DONE, [1])


def test_a_reader_who_leaves_closes_the_connection() -> None:
    beat: list[Piece] = [0.02, b": \n\n"]
    with odd_server([HEAD + event(1), *beat * 400]) as server, Client(server.url, "key") as client:
        stream = client.stream(TASK)
        next(stream)
        stream.close()
        until(lambda: server.left, 5)
