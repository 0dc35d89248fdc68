"""What becomes of answers without words or calls, and of answers that were cut off."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from agents.models import Task, ToolCall
from demo.model_server.oddities import REFUSAL, THOUGHT, WORDS
from tests.support.helpers import answer_of, messages_of, status_of
from tests.support.oracle import calls

pytestmark = pytest.mark.django_db(transaction=True)

Use = Callable[[str], None]
ASK = "what did I ask before"
WIPE = 'call wipe with {"what": "tmp"}'


SAID = {
    "empty": "said nothing",
    "null": "said nothing",
    "blank": "said nothing",
    "no-blocks": "said nothing",
    "reasoning": "only reasoned",
    "think": "only reasoned",
    "thinking-blocks": "only reasoned",
    "broken-off": "broke off",
    "function-call": "function_call",
    "refusal": REFUSAL,
    "refusal-block": REFUSAL,
    "filter": "stopped by the endpoint's content filter",
    "safety": "stopped by the endpoint's content filter",
    "length": "used up its output limit before it said anything",
    "length-thinking": "used up its output limit before it said anything",
}
AGAIN = ("empty", "null", "blank", "no-blocks", "reasoning", "think", "thinking-blocks", "broken-off", "function-call")


@pytest.mark.parametrize("name", SAID)
def test_an_answer_without_words_ends_the_task_with_what_happened(use_model: Use, asked: Any, name: str) -> None:
    use_model(f"odd-{name}")
    task = asked(ASK)
    assert (task.status, SAID[name] in task.message) == ("error", True), task.message


@pytest.mark.parametrize("name", SAID)
def test_the_model_is_asked_once_more_where_that_may_help(
    use_model: Use, asked: Any, model_server: Any, name: str
) -> None:
    use_model(f"odd-{name}")
    asked(ASK)
    assert len(model_server.received) == (2 if name in AGAIN else 1)


@pytest.mark.parametrize("name", AGAIN)
def test_what_it_says_then_counts(use_model: Use, asked: Any, name: str) -> None:
    use_model(f"odd-{name}-once")
    assert "first message" in answer_of(asked(ASK))


def test_an_end_that_is_no_word_is_an_ordinary_one(use_model: Use, asked: Any) -> None:
    use_model("odd-finish")
    assert answer_of(asked(ASK)) == "[demo model] This is"


def test_an_answer_that_is_a_number_is_its_words(use_model: Use, asked: Any) -> None:
    use_model("odd-number")
    assert answer_of(asked(ASK)) == "42"


@pytest.mark.parametrize("name", ["usage", "usage-list", "tier"])
def test_odd_things_around_the_message_do_not_matter(use_model: Use, asked: Any, name: str) -> None:
    use_model(f"odd-{name}")
    assert "first message" in answer_of(asked(ASK))


def test_after_an_answer_without_words_the_session_goes_on(use_model: Use, asked: Any, model_server: Any) -> None:
    use_model("odd-empty")
    asked(ASK)
    use_model("demo")
    assert "asked" not in answer_of(asked("multiply 6 by 7"))


@pytest.mark.parametrize("content", ["", " \n", [], [{"type": "thinking", "thinking": "hm"}]])
def test_an_answer_without_words_in_a_stored_session_never_goes_back(
    use_model: Use, asked: Any, model_server: Any, content: Any
) -> None:
    first = asked(ASK)
    result = first.result
    assert result is not None
    result["messages"][-1]["content"] = content
    Task.objects.filter(pk=first.pk).update(result=result)
    assert "You said earlier" in answer_of(asked(ASK))  # the rule model answers a wordless message with a 400
    roles = [message["role"] for message in model_server.received[0]["messages"]]
    assert roles[-3:] == ["user", "assistant", "user"]  # they still take turns


HALF = {"half": "length", "half-max-tokens": "length", "half-filter": "content_filter", "half-other": "broken_off"}


@pytest.mark.parametrize(("name", "mark"), HALF.items())
def test_a_text_that_was_cut_off_is_marked(use_model: Use, asked: Any, api: APIClient, name: str, mark: str) -> None:
    use_model(f"odd-{name}")
    task = asked(ASK)
    last = status_of(api, task)["last_response"]["result"]["messages"][-1]
    assert (last["content"], last["cut_off"]) == ("[demo model] This is", mark)
    assert "cut off" in status_of(api, task)["message"]


def test_a_whole_text_has_no_mark(use_model: Use, asked: Any, api: APIClient) -> None:
    body = status_of(api, asked(ASK))
    assert "cut_off" not in body["last_response"]["result"]["messages"][-1]
    assert body["message"] is None


def test_the_mark_stands_on_the_page_of_the_task(use_model: Use, asked: Any, admin_client: Any) -> None:
    use_model("odd-half")
    page = admin_client.get(f"/admin/agents/task/{asked(ASK).pk}/change/").content.decode()
    assert "[cut off: the output limit was reached]" in page


CUT = ("cut-empty", "cut-brace", "cut-whole", "cut-filter", "cut-max-tokens", "cut-other")


@pytest.mark.parametrize("name", CUT)
def test_an_answer_that_was_cut_off_runs_none_of_its_calls(use_model: Use, asked: Any, name: str) -> None:
    use_model(f"odd-{name}")
    task = asked(f"{WIPE} and multiply 6 by 7")
    assert (calls(), ToolCall.objects.count()) == ([], 0)
    told = [message["content"] for message in messages_of(task) if message["type"] == "tool"]
    assert len(told) == 2
    assert all("cut off" in text and "not run" in text for text in told)
    assert messages_of(task)[1]["cut_off"]


def test_no_thought_is_shown_to_clients(use_model: Use, asked: Any, api: APIClient) -> None:
    use_model("odd-signed")
    task = asked(WIPE)
    assert "wiped" in answer_of(task)
    session = api.get("/agent/session/ann/s1").content.decode()
    assert THOUGHT not in str(status_of(api, task)) + session


def test_every_odd_answer_is_tried_here() -> None:
    assert set(WORDS) - set(SAID) - set(HALF) == {"number", "finish"}
