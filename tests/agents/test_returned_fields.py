"""What an endpoint sent with its calls and its reasoning goes back to it, and to no other."""

import json
from typing import Any

import pytest

from agents.models import Task
from demo.model_server.oddities import DETAIL, THOUGHT
from reviews.decisions.services import Choice, decide
from tests.agents.test_odd_answers import Use
from tests.support.concurrency import lapse_all
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import Crash

pytestmark = pytest.mark.django_db(transaction=True)

BOTH = "multiply 6 by 7 and multiply 2 by 3"


def sent(model_server: Any, request: int = -1) -> list[dict[str, Any]]:
    """The model's messages in the request that its server received."""
    return [one for one in model_server.received[request]["messages"] if one["role"] == "assistant"]


def assert_whole(message: dict[str, Any]) -> None:
    assert message["reasoning_content"] == THOUGHT
    assert message["reasoning_details"] == [DETAIL]
    signatures = [call["extra_content"]["google"]["thought_signature"] for call in message["tool_calls"]]
    assert signatures == [f"c2ln{place}" for place in range(len(signatures))]
    assert [call["function"]["signature"] for call in message["tool_calls"]] == signatures
    assert "annotations" not in message


def test_they_go_back_with_the_next_request(use_model: Use, asked: Any, model_server: Any) -> None:
    use_model("odd-signed")
    answer_of(asked(BOTH))
    (message,) = sent(model_server)
    assert len(message["tool_calls"]) == 2
    assert_whole(message)


def test_they_survive_a_pause(use_model: Use, asked: Any, work: Any, reviewer: Any, model_server: Any) -> None:
    use_model("odd-signed")
    task = asked('call charge with {"amount": 3}')
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    answer_of(task)
    assert_whole(sent(model_server)[0])


def test_they_survive_the_death_of_a_worker(
    use_model: Use, asked: Any, work: Any, reviewer: Any, model_server: Any
) -> None:
    use_model("odd-signed")
    task = asked('call charge_and_crash with {"amount": 3}')
    decide(open_review(task).pk, reviewer, Choice("accept"))
    with pytest.raises(Crash):
        work()
    lapse_all()
    work()
    decide(open_review(task).pk, reviewer, Choice("response", "it was paid"))
    work()
    answer_of(task)
    assert_whole(sent(model_server)[0])


def test_a_session_sends_back_all_of_a_task_with_calls(use_model: Use, asked: Any, model_server: Any) -> None:
    use_model("odd-signed")
    asked(BOTH)
    asked("what did I ask before")
    call, answer = sent(model_server, 0)
    assert_whole(call)
    assert (answer["reasoning_content"], answer["reasoning_details"]) == (THOUGHT, [DETAIL])


def test_of_a_task_without_calls_it_sends_back_no_thoughts(use_model: Use, asked: Any, model_server: Any) -> None:
    use_model("odd-signed")
    asked("what did I ask before")
    asked("what did I ask before")
    (answer,) = sent(model_server, 0)
    assert "reasoning_content" not in answer
    assert answer["reasoning_details"] == [DETAIL]


def test_another_model_is_sent_nothing_of_it(use_model: Use, asked: Any, model_server: Any) -> None:
    use_model("odd-signed")
    asked(BOTH)
    use_model("demo")
    asked("what did I ask before")
    assert THOUGHT not in json.dumps(sent(model_server, 0))
    assert "extra_content" not in json.dumps(sent(model_server, 0))


def test_another_endpoint_of_the_same_model_neither(
    use_model: Use, asked: Any, model_server: Any, settings: Any
) -> None:
    use_model("odd-signed")
    asked(BOTH)
    settings.OPENAI_BASE_URL = model_server.url.replace("127.0.0.1", "localhost")
    use_model("odd-signed")
    asked("what did I ask before")
    assert THOUGHT not in json.dumps(sent(model_server, 0))


def test_what_was_never_sent_never_goes_back(use_model: Use, asked: Any, model_server: Any) -> None:
    asked(BOTH)
    (message,) = sent(model_server)
    assert set(message) == {"role", "content", "tool_calls"}
    assert {key for call in message["tool_calls"] for key in call} == {"id", "type", "function"}


def test_a_malformed_call_keeps_its_place_and_its_signature(use_model: Use, asked: Any, model_server: Any) -> None:
    use_model("odd-signed-malformed")
    asked(BOTH)
    (message,) = sent(model_server)
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"
    assert_whole(message)


def test_blocks_of_reasoning_go_back_as_they_came(use_model: Use, asked: Any, model_server: Any) -> None:
    use_model("odd-signed-blocks")
    asked(BOTH)
    (message,) = sent(model_server)
    assert [block["type"] for block in message["content"]] == ["thinking", "text"]


def test_they_are_kept_beside_the_messages_and_out_of_sight(use_model: Use, asked: Any) -> None:
    use_model("odd-signed")
    task = asked(BOTH)
    result = Task.objects.get(pk=task.pk).result
    assert result is not None
    assert THOUGHT not in json.dumps(result["messages"])
    assert set(result["returned"]) <= {message["id"] for message in result["messages"]}
    assert again(task).status == "completed"
