"""Messages that fit a budget: what is shortened, what goes, and what stays together."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agents.runtime.history import fitting

BIG = "word " * 40_000  # 200 KB, about 50,000 tokens


def turn(number: int, result: Any = "42", asked: str = "how much is it", **args: Any) -> list[AnyMessage]:
    call = {"name": "read", "args": {"page": number, **args}, "id": f"c{number}", "type": "tool_call"}
    return [
        HumanMessage(asked, id=f"h{number}"),
        AIMessage("", id=f"a{number}", tool_calls=[call]),
        ToolMessage(result, tool_call_id=f"c{number}", name="read", id=f"t{number}"),
        AIMessage(f"answer {number}", id=f"b{number}"),
    ]


def calls_of(message: AnyMessage) -> list[Any]:
    assert isinstance(message, AIMessage)
    return list(message.tool_calls)


def size(messages: list[AnyMessage]) -> int:
    return sum(map(fitting.tokens_of, messages))


def test_what_fits_is_left_alone() -> None:
    messages = [*turn(1), *turn(2)]
    assert fitting.fitted(messages, 1000) == messages


def test_one_big_result_is_shortened_and_nothing_dropped() -> None:
    messages = [*turn(1), *turn(2, BIG), *turn(3)]
    fitted = fitting.fitted(messages, 32_000)
    assert [one.id for one in fitted] == [one.id for one in messages]
    assert [one for one in fitted if one.id != "t2"] == [one for one in messages if one.id != "t2"]
    assert "characters left out" in str(fitted[6].content)
    assert 20_000 < size(fitted) <= 32_000


def test_many_big_results_are_all_shortened_alike() -> None:
    messages = [message for number in range(10) for message in turn(number, BIG)]
    fitted = fitting.fitted(messages, 32_000)
    assert len(fitted) == len(messages)
    assert len({len(str(one.content)) for one in fitted if one.type == "tool"}) == 1
    assert size(fitted) <= 32_000


def test_short_results_are_whole_beside_a_long_one() -> None:
    fitted = fitting.fitted([*turn(1, "word " * 200), *turn(2, BIG)], 4_000)
    assert fitted[2].content == "word " * 200


def test_the_oldest_turns_go_where_there_is_no_room_for_a_part_of_each() -> None:
    messages = [message for number in range(100) for message in turn(number, asked="word " * 400)]
    fitted = fitting.fitted(messages, 8_000)
    assert fitted[-1].id == "b99"
    assert fitted[0].id == "h85"
    assert size(fitted) <= 8_000


def test_questions_are_shortened_last() -> None:
    messages = [*turn(1, BIG, asked="word " * 900), *turn(2, asked="word " * 900)]
    fitted = fitting.fitted(messages, 4_000)
    assert [one for one in fitted if one.type == "human"] == [one for one in messages if one.type == "human"]


def test_the_last_turn_is_kept_though_it_alone_is_too_long() -> None:
    long = [*turn(1), *turn(2, BIG, asked=BIG, text=BIG)]
    fitted = fitting.fitted(long, 200)
    assert [one.id for one in fitted] == ["h2", "a2", "t2", "b2"]
    assert all("left out" in str(one) for one in fitted[:3])
    assert size(fitted) <= 200


def test_arguments_of_calls_count() -> None:
    assert fitting.tokens_of(turn(1, text=BIG)[1]) > 40_000


def test_arguments_that_are_no_texts_become_one() -> None:
    (short,) = calls_of(fitting.shortened(turn(1, rows=list(range(50_000)))[1], 500))
    assert list(short["args"]) == [fitting.CUT]
    assert short["args"][fitting.CUT].startswith('{"page": 1, "rows": [0, 1,')


def test_the_texts_among_arguments_are_shortened_and_the_others_stay() -> None:
    (short,) = calls_of(fitting.shortened(turn(1, text=BIG)[1], 500))
    assert short["args"]["page"] == 1
    assert "left out" in short["args"]["text"]


def test_blocks_of_text_are_shortened_and_an_image_stays() -> None:
    image = {"type": "image", "base64": "A" * 200_000, "mime_type": "image/png"}
    message = ToolMessage([image, {"type": "text", "text": BIG}], tool_call_id="c", id="t")
    assert fitting.tokens_of(message) < 60_000
    short = fitting.shortened(message, 4_000)
    assert short.content[0] == image
    assert fitting.tokens_of(short) <= 4_000


def test_an_image_without_room_is_named() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}
    short = fitting.shortened(ToolMessage([image], tool_call_id="c"), 300)
    assert short.content == [{"type": "text", "text": "[image_url left out]"}]


def test_other_blocks_become_shortened_text() -> None:
    short = fitting.shortened(ToolMessage([{"type": "rows", "rows": list(range(9000))}], tool_call_id="c"), 300)
    assert "left out" in short.content[0]["text"]  # type: ignore[index]


def test_a_models_thoughts_are_left_as_they_are() -> None:
    thought = {"type": "thinking", "thinking": BIG, "signature": "s"}
    message = AIMessage([thought, {"type": "text", "text": BIG}])
    assert fitting.shortened(message, 500).content[0] == thought


RESULTS = st.one_of(st.integers(0, 5000).map("word ".__mul__), st.integers(0, 900).map("字".__mul__), st.text())
TURNS = st.lists(st.tuples(RESULTS, st.integers(0, 300), st.integers(0, 2000)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=150)
@given(TURNS, st.integers(300, 20_000))
def test_it_fits_and_is_a_sound_conversation(turns: list[tuple[str, int, int]], budget: int) -> None:
    messages = [
        message
        for number, (result, asked, text) in enumerate(turns)
        for message in turn(number, result, asked="word " * asked, text="word " * text)
    ]
    fitted = fitting.fitted(messages, budget)
    assert size(fitted) <= budget
    ids = [one.id for one in messages]
    assert [one.id for one in fitted] == ids[len(ids) - len(fitted) :]
    assert len(fitted) % 4 == 0
    assert len(fitted) >= 4
