"""Answers that are listened to: whatever an endpoint streams, the message is the one of its unstreamed answer."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from agents.runtime.endpoints import http_clients, listening, streamed
from agents.runtime.endpoints.chat import compatible
from agents.runtime.endpoints.returned_fields import RETURNED
from demo.model_server.oddities import AROUND, DETAIL, ODDITIES, THOUGHT
from tests.support.endpoint import Endpoint, Reply, completion, says
from tests.support.hearing import Broken, Keeper
from tests.support.streams import DONE, call_piece, calls, chunk, event, goes_on, streams, words

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {"a": {}}}}}
    for name in ("multiply", "look")
]
SIX = '{"a": 6, "b": 7}'
TWO = '{"a": 2, "b": 3}'


@dataclass
class Asked:
    message: AIMessage
    keeper: Keeper
    server: Endpoint

    @property
    def calls(self) -> list[tuple[str, Any]]:
        return [(call["name"], call["args"]) for call in self.message.tool_calls]


Ask = Callable[..., Asked]


def model_at(url: str, name: str = "m", **options: Any) -> Any:
    key = SecretStr("x")
    model = compatible(ChatOpenAI(model=name, base_url=url, api_key=key, max_retries=0, stream_usage=True, **options))
    http_clients.prepare(model)
    return model


def answer(model: Any, listener: Any, question: str = "hello") -> AIMessage:
    with listening.to(listener), http_clients.exchange(5.0):
        message: AIMessage = model.bind_tools(TOOLS).invoke(question)
    return message


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Listen to an endpoint that answers so."""
    with ExitStack() as stack:

        def run(*replies: Reply | str, **options: Any) -> Asked:
            made = [streams(one) if isinstance(one, str) else one for one in replies]
            server, keeper = stack.enter_context(Endpoint(*made)), Keeper()
            return Asked(answer(model_at(f"{server.url}/v1", **options), keeper), keeper, server)

        yield run


def plain(message: AIMessage) -> str:
    """All of the message but the ids that differ from request to request."""
    kept = {**message.additional_kwargs}
    kept.pop(listening.MESSAGE_ID, None)
    metadata = {key: value for key, value in message.response_metadata.items() if key != "id"}
    fields = {**dict(message), "id": "", "additional_kwargs": kept, "response_metadata": metadata}
    return re.sub(r"call_[0-9a-f]+", "call", json.dumps(fields, default=str, sort_keys=True))


@pytest.mark.parametrize("question", ["6 * 7 and 2 * 3", "hello"])
@pytest.mark.parametrize("name", ["demo", *(f"odd-{name}" for name in [*ODDITIES, *AROUND])])
def test_the_rule_model_answers_alike_streamed_and_unstreamed(model_server: Any, name: str, question: str) -> None:
    model, keeper = model_at(model_server.url, name), Keeper()
    whole, heard = answer(model, None, question), answer(model, keeper, question)
    assert plain(heard) == plain(whole)
    assert model_server.received[-1]["stream"] is True
    assert keeper.ends == ["end"]
    assert keeper.text == (whole.content if isinstance(whole.content, str) and name != "odd-number" else keeper.text)


def test_without_a_listener_the_request_is_as_ever(model_server: Any) -> None:
    answer(model_at(model_server.url), None)
    assert model_server.received[-1]["stream"] is False
    assert "stream_options" not in model_server.received[-1]


def test_the_text_comes_in_pieces_and_under_the_id_of_the_message(ask: Ask) -> None:
    asked = ask(words("The answer ", "is ", "42."))
    assert asked.message.content == "The answer is 42."
    (told,) = asked.keeper.answers
    assert (told.deltas, told.ends) == (["The answer ", "is ", "42."], ["end"])
    assert asked.message.additional_kwargs[listening.MESSAGE_ID] == told.message_id


def test_the_text_is_told_before_the_answer_ends(ask: Ask) -> None:
    """The server goes on only after the listener has had the first words."""
    keeper = Keeper()

    def reply(write: Any, stopping: Any) -> None:
        body = words("first ", "last").split("last")
        streams(body[0], cut=True)(write, stopping)
        while not keeper.answers[0].deltas and not stopping.wait(0.01):
            pass
        data = f"last{body[1]}".encode()
        write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))

    with Endpoint(reply) as server:
        assert answer(model_at(f"{server.url}/v1"), keeper).content == "first last"


def test_reasoning_is_told_apart_and_kept_with_its_signature(ask: Ask) -> None:
    signed = {**DETAIL, "index": 0, "text": THOUGHT}
    half = {**signed, "text": THOUGHT[:9]}
    del half["signature"]
    deltas = [
        {"role": "assistant", "content": "", "reasoning_content": THOUGHT[:9], "reasoning_details": [half]},
        {"reasoning_content": THOUGHT[9:], "reasoning_details": [{**signed, "text": THOUGHT[9:]}]},
        {"content": "Done."},
    ]
    asked = ask("".join(event(chunk(delta)) for delta in deltas) + event(chunk({}, "stop")) + DONE)
    body = completion("Done.")
    body["choices"][0]["message"] |= {"reasoning_content": THOUGHT, "reasoning_details": [signed]}
    kept, unstreamed = (
        json.loads(one.message.additional_kwargs[RETURNED]["fields"]) for one in (asked, ask(says(body)))
    )
    assert kept == unstreamed
    assert asked.keeper.answers[0].thoughts == [THOUGHT[:9], THOUGHT[9:]]
    assert asked.keeper.text == "Done."


def test_blocks_are_told_and_joined(ask: Ask) -> None:
    def thought(text: str) -> dict[str, Any]:
        return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}

    deltas = [{"content": [thought("I ")]}, {"content": [thought("think")]}, {"content": "So "}, {"content": "be it"}]
    asked = ask("".join(event(chunk(delta)) for delta in deltas) + event(chunk({}, "stop")) + DONE)
    assert asked.message.content == [thought("I think"), {"type": "text", "text": "So be it"}]
    assert (asked.keeper.answers[0].thoughts, asked.keeper.text) == (["I ", "think"], "So be it")


PIECES: dict[str, list[Any]] = {
    "numbered": [
        call_piece("", index=0, id="a", type="function", name="multiply"),
        call_piece(SIX[:5], index=0),
        call_piece(SIX[5:], index=0),
        call_piece("", index=1, id="b", type="function", name="multiply"),
        call_piece(TWO, index=1),
    ],
    "interleaved": [
        call_piece(TWO[:3], index=1, id="b", name="multiply"),
        call_piece(SIX[:5], index=0, id="a", name="multiply"),
        call_piece(TWO[3:], index=1),
        call_piece(SIX[5:], index=0),
    ],
    "all numbered 0": [
        call_piece(SIX[:5], index=0, id="a", name="multiply"),
        call_piece(SIX[5:], index=0),
        call_piece(TWO[:5], index=0, id="b", name="multiply"),
        call_piece(TWO[5:], index=0),
    ],
    "all numbered 0, without ids": [
        call_piece(SIX, index=0, id="", name="multiply"),
        call_piece(TWO, index=0, id="", name="multiply"),
    ],
    "not numbered": [
        call_piece(SIX[:5], id="a", name="multiply"),
        call_piece(SIX[5:], id="a"),
        call_piece(TWO, id="b", name="multiply"),
    ],
    "not numbered and without ids": [
        call_piece(SIX[:5], name="multiply"),
        call_piece(SIX[5:]),
        call_piece(TWO, name="multiply"),
    ],
    "a new id with each piece": [
        call_piece(SIX[:5], index=0, id="a", name="multiply"),
        call_piece(SIX[5:], index=0, id="x"),
        call_piece(TWO[:5], index=1, id="b", name="multiply"),
        call_piece(TWO[5:], index=1, id="y"),
    ],
    "the name with each piece": [
        call_piece(SIX[:5], index=0, id="a", name="multiply"),
        call_piece(SIX[5:], index=0, id="a", name="multiply"),
        call_piece(TWO[:5], index=1, name="multiply"),
        call_piece(TWO[5:], index=1, name="multiply"),
    ],
    "the name in pieces": [
        call_piece(None, index=0, id="a", name="multi"),
        call_piece(SIX, index=0, name="ply"),
        call_piece(TWO, index=1, id="b", name="multiply"),
    ],
    "as objects": [
        call_piece(json.loads(SIX), index=0, id="a", name="multiply"),
        call_piece(TWO, index=1, id="b", name="multiply"),
    ],
}


@pytest.mark.parametrize("kind", [kind for kind in PIECES if kind != "as objects"])
def test_calls_are_joined_however_they_are_numbered(ask: Ask, kind: str) -> None:
    asked = ask(calls(*PIECES[kind]))
    assert asked.calls == [("multiply", json.loads(SIX)), ("multiply", json.loads(TWO))]
    assert not asked.message.invalid_tool_calls


def test_two_calls_in_one_chunk_with_one_number_are_two(ask: Ask) -> None:
    both = [call_piece(text, index=0, name="multiply") for text in (SIX, TWO)]
    asked = ask(event(chunk({"tool_calls": both}, "tool_calls")) + DONE)
    assert [args for _, args in asked.calls] == [json.loads(SIX), json.loads(TWO)]


@pytest.mark.parametrize(
    "pieces",
    [
        PIECES["as objects"][:1],
        [call_piece(SIX[:5], index=0, id="a", name="multiply")],
        [call_piece(SIX, index=0, id="a", name="multiply"), call_piece(TWO, index=0)],
        [call_piece({"a": 1}, index=0, id="a", name="multiply"), call_piece({"b": 2}, index=0)],
        [call_piece('{"a": ', index=0, id="a", name="multiply"), call_piece({"b": 2}, index=0)],
        ["multiply(6, 7)"],
        [call_piece(SIX, index=0, id="a")],
    ],
)
def test_pieces_that_make_no_call_never_run(ask: Ask, pieces: list[Any]) -> None:
    asked = ask(calls(*pieces))
    assert asked.calls == []
    assert len(asked.message.invalid_tool_calls) == 1


def test_a_cut_answer_has_no_calls(ask: Ask) -> None:
    stream = calls(*PIECES["numbered"]).replace('"finish_reason": "tool_calls"', '"finish_reason": "length"')
    asked = ask(stream)
    assert (asked.calls, len(asked.message.invalid_tool_calls)) == ([], 2)


def packets(stream: str, size: int) -> list[bytes]:
    data = stream.encode()
    return [data[start : start + size] for start in range(0, len(data), size)]


TEXT = "Grüße, 世界 🙂"
SAID = words("Grüße, ", "世界 ", "🙂")
RAW = "".join(
    f"data: {json.dumps(one, ensure_ascii=False)}\n\n"
    for one in (chunk({"role": "assistant", "content": "Grüße, "}), chunk({"content": "世界 🙂"}, "stop"))
)
FORMS: dict[str, list[str | bytes]] = {
    "as it should be": [SAID],
    "a byte a packet": [*packets(RAW + DONE, 1)],
    "letters split between packets": [*packets(RAW + DONE, 7)],
    "\\r\\n": [*packets(SAID.replace("\n", "\r\n"), 5)],
    "\\r": [*packets(SAID.replace("\n", "\r"), 5)],
    "no space": [SAID.replace("data: ", "data:")],
    "a byte order mark": [b"\xef\xbb\xbf", SAID],
    "blank lines first": ["\n\n", SAID],
    "comments": [": hello\n\n", SAID.replace("\n\n", "\n\n: still there\n\n:\n\n")],
    "names, ids and retries": ["retry: 5\n", SAID.replace("data: {", "event: chunk\nid: 1\ndata: {")],
    "data in several lines": [SAID.replace('"choices": ', '\ndata: "choices":\ndata:  ')],
    "keep-alives with data": [SAID.replace("data: {", "data:\n\ndata: ping\n\ndata: {")],
    "no end": [SAID.removesuffix(DONE)],
    "no end and no last line": [SAID.removesuffix(f"\n\n{DONE}")],
    "no reason": [words("Grüße, ", "世界 ", "🙂", finish_reason=None)],
    "something after its end": [SAID, event({"error": "too late"})],
    "empty choices": [event({**chunk({}), "choices": []}), SAID, event({**chunk({}), "choices": None})],
    "the role again and again": [SAID.replace('"delta": {"content"', '"delta": {"role": "assistant", "content"')],
    "nulls": [SAID.replace('"delta": {"content"', '"delta": {"tool_calls": null, "refusal": null, "content"')],
    "no content in some": [event(chunk({"content": None})), SAID, event(chunk({"role": "assistant"}))],
    "another content type": [SAID],
    "in one chunk": [event({**chunk({}), "choices": [completion(TEXT)["choices"][0]]}), DONE],
    "in one chunk, without a reason": [event({"choices": [{"message": {"role": "assistant", "content": TEXT}}]})],
    "messages in place of deltas": [SAID.replace('"delta"', '"message"')],
    "a copy of it at the end": [SAID.replace(DONE, event({"choices": completion(TEXT)["choices"]}) + DONE)],
    "several answers": [
        event({"choices": [{"index": 1, "delta": {"content": "No"}}, {"index": 0, "delta": {"content": "Grüße, "}}]}),
        event({"choices": [{"index": 1, "delta": {"content": "!"}, "finish_reason": "stop"}]}),
        event({"choices": [{"index": 0, "delta": {"content": "世界 🙂"}, "finish_reason": "stop"}]}),
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_text_is_read_in_whatever_form_it_is_streamed(ask: Ask, form: str) -> None:
    kind = "application/json" if form == "another content type" else "text/event-stream"
    asked = ask(streams(*FORMS[form], content_type=kind))
    assert asked.message.content == TEXT
    assert (asked.keeper.text, asked.keeper.ends) == (TEXT, ["end"])


USED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(
    "stream",
    [
        words("Done.").replace(DONE, event({"choices": [], "usage": USED}) + DONE),
        words("Done.").replace(DONE, event({"usage": USED}) + DONE),
        event(chunk({"content": "Do"}, usage={**USED, "total_tokens": 1}))
        + event(chunk({"content": "ne."}, "stop", usage=USED)),
        event(chunk({"content": "Done."}, usage=USED)) + event(chunk({}, "stop", usage=None)) + DONE,
    ],
)
def test_the_last_usage_counts(ask: Ask, stream: str) -> None:
    asked = ask(stream)
    usage = asked.message.usage_metadata
    assert usage is not None
    assert (asked.message.content, usage["input_tokens"], usage["total_tokens"]) == ("Done.", 3, 5)


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_an_endpoint_that_does_not_stream_is_read_as_ever(ask: Ask, kind: str) -> None:
    asked = ask(says(completion("Done."), content_type=kind))
    assert (asked.message.content, asked.keeper.text, asked.keeper.ends) == ("Done.", "Done.", ["end"])


REFUSALS: list[tuple[int, Any, list[Any]]] = [
    (400, {"error": {"message": "Unknown parameter: 'stream_options'."}}, [True, True]),
    (422, {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}, [True, True]),
    (400, {"error": {"message": "stream is not supported for this model"}}, [True, False]),
    (501, {"error": {"message": "Streaming is not implemented."}}, [True, False]),
]


@pytest.mark.parametrize(("status", "body", "sent"), REFUSALS)
def test_what_an_endpoint_refuses_is_left_out_and_remembered(status: int, body: Any, sent: list[Any]) -> None:
    reply = streams(words("Done.")) if sent[1] else says(completion("Done."))
    with Endpoint(says(body, status), reply) as server:
        model, keeper = model_at(f"{server.url}/v1"), Keeper()
        assert [answer(model, keeper).content for _ in range(2)] == ["Done.", "Done."]
        assert [one["stream"] for one in server.requests] == [*sent, sent[1]]
        assert ["stream_options" in one for one in server.requests] == [True, False, False]
        assert keeper.ends == ["abandoned", "end", "end"]
        assert len({told.message_id for told in keeper.answers}) == 3


def test_both_can_be_refused(ask: Ask) -> None:
    no_options, no_stream = (says({"error": f"no {name}, please"}, 400) for name in ("stream_options", "stream"))
    asked = ask(no_options, no_stream, says(completion("Done.")))
    assert asked.message.content == "Done."


def test_a_refusal_is_forgotten_after_a_while(monkeypatch: Any) -> None:
    monkeypatch.setattr(streamed, "REMEMBERED", 0.0)
    with Endpoint(says({"error": "no stream here"}, 400), says(completion("Done."))) as server:
        model = model_at(f"{server.url}/v1")
        monkeypatch.setattr(streamed, "REMEMBERED", 0.2)
        answer(model, Keeper())
        assert server.requests[-1]["stream"] is False
        streamed.time.sleep(0.3)
        answer(model, Keeper())
        assert server.requests[-1]["stream"] is True


@pytest.mark.parametrize("at_once", [True, False])
def test_a_listener_that_fails_harms_no_answer(at_once: bool, caplog: Any) -> None:
    with Endpoint(streams(words("Do", "ne."))) as server:
        assert answer(model_at(f"{server.url}/v1"), Broken(at_once=at_once)).content == "Done."
    assert len([one for one in caplog.records if "listener" in one.getMessage()]) == 1


def test_a_connection_is_used_again_after_a_stream(model_server: Any) -> None:
    model = model_at(model_server.url)
    answer(model, Keeper())
    before = len(model_server._connections)
    for _ in range(3):
        answer(model, Keeper())
    assert len(model_server._connections) == before


def test_an_endpoint_that_stays_silent_after_its_end_keeps_nobody_waiting(ask: Ask, monkeypatch: Any) -> None:
    monkeypatch.setattr(streamed, "AFTER_END", 0.1)
    begun = streamed.time.monotonic()
    asked = ask(streams(words("Done."), ": still here\n\n", pause=30))
    assert asked.message.content == "Done."
    assert streamed.time.monotonic() - begun < 3


def test_a_stream_beyond_all_measure_ends(ask: Ask, monkeypatch: Any) -> None:
    monkeypatch.setattr(streamed, "LARGEST", 100_000)
    with pytest.raises(Exception, match="Connection error"):
        ask(goes_on(event(chunk({"role": "assistant"})), event(chunk({"content": "more "}))))
