"""However much tools return, a model is asked with what fits, and knows what was said before."""

import json
from typing import Any

import httpx
import openai
import pytest
from langchain_core.exceptions import ContextOverflowError

from agents.models import Task
from agents.runtime.history import conversation
from agents.runtime.middleware import context_length
from core import tokens
from demo.model_server.misbehaviours import Misbehaviours
from demo.model_server.replies import Answer, as_json
from demo.model_server.replies import error as error_body
from tests.support.helpers import again, answer_of, messages_of
from tests.support.long_tools import BEGINNING, END

pytestmark = pytest.mark.django_db(transaction=True)

LATIN = 'call read_long with {"characters": 200000}'
CHINESE = 'call read_long with {"characters": 85000, "script": "chinese"}'
JSON = 'call read_long with {"characters": 200000, "script": "json"}'
OPENAI = "This model's maximum context length is {limit} tokens. However, your messages resulted in {asked} tokens."


@pytest.fixture(autouse=True)
def long_tools(settings: Any) -> None:
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.long_tools"]}}


class Endpoint:
    """What the model's server received, and how much it takes."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.limit: int | None = None  # tokens of a request
        self.status = 400
        self.words = OPENAI

    def refusal(self, request: dict[str, Any]) -> Answer | None:
        self.received.append(request)
        if self.limit is None:
            return None
        asked = tokens.count(json.dumps([request["messages"], request["tools"]], ensure_ascii=False))
        if asked <= self.limit:
            return None
        return as_json(self.status, error_body(self.words.format(limit=self.limit, asked=asked)))

    def contents(self) -> list[str]:
        """Of the messages of the last request, without its system prompt."""
        return [str(one["content"] or one["tool_calls"]) for one in self.received[-1]["messages"][1:]]


@pytest.fixture
def endpoint(monkeypatch: Any) -> Endpoint:
    made = Endpoint()
    own = Misbehaviours.of
    monkeypatch.setattr(Misbehaviours, "of", lambda self, request: made.refusal(request) or own(self, request))
    return made


@pytest.mark.parametrize("call", [LATIN, CHINESE, JSON])
def test_after_one_big_result_the_next_task_knows_all_that_was_said(
    invoke: Any, work: Any, endpoint: Endpoint, call: str, settings: Any
) -> None:
    for query in ("multiply 6 by 7", call, "multiply 7 by 8"):
        invoke(query)
        work()
    task = invoke("what did I ask before")
    work()
    assert answer_of(task).count("\n- ") == 3
    assert "multiply 6 by 7" in answer_of(task)
    long = next(text for text in endpoint.contents() if text.startswith(BEGINNING))
    assert long.endswith(END)
    assert "characters left out" in long
    assert sum(map(tokens.count, endpoint.contents())) <= settings.CONVERSATION_TOKENS


@pytest.mark.parametrize("call", [LATIN, CHINESE, JSON])
def test_so_it_is_within_the_running_task(invoke: Any, work: Any, endpoint: Endpoint, call: str, settings: Any) -> None:
    task = invoke(f"{call} then multiply 6 by 7")
    work()
    assert "42" in answer_of(task)
    long = next(text for text in endpoint.contents() if text.startswith(BEGINNING))
    assert long.endswith(END)
    assert tokens.count(long) <= settings.CONVERSATION_TOKENS


def test_what_the_client_gets_is_whole(invoke: Any, work: Any) -> None:
    task = invoke(LATIN)
    work()
    assert len(messages_of(task)[2]["content"]) > 200_000


def test_many_results_of_a_running_task_fit_together(invoke: Any, work: Any, endpoint: Endpoint, settings: Any) -> None:
    settings.TASK_TOKENS = 40_000
    task = invoke(" then ".join([JSON] * 4))
    work()
    assert again(task).status == "completed"
    assert sum(map(tokens.count, endpoint.contents())) <= settings.CONVERSATION_TOKENS + settings.TASK_TOKENS


def test_long_arguments_count_as_well(invoke: Any, work: Any, endpoint: Endpoint, settings: Any) -> None:
    settings.CONVERSATION_TOKENS = 2_000
    invoke('call write_long with {"text": "' + "lorem ipsum " * 5_000 + '"}')
    work()
    invoke("multiply 6 by 7")
    work()
    assert sum(map(tokens.count, endpoint.contents())) <= 2_100


def test_a_long_question_does_not_push_the_session_out(invoke: Any, work: Any, endpoint: Endpoint) -> None:
    task = invoke("世界" * 49_000)
    work()
    assert again(task).status == "completed"
    invoke("multiply 6 by 7")
    work()
    assert endpoint.contents()[0].startswith("世界")


@pytest.mark.parametrize(
    ("limit", "words"), [(30_000, OPENAI), (8_000, OPENAI), (4_000, OPENAI), (16_000, "Input is too long for this.")]
)
def test_where_the_context_is_too_long_the_model_is_asked_once_more_with_less(
    invoke: Any, work: Any, endpoint: Endpoint, limit: int, words: str
) -> None:
    for query in ("multiply 6 by 7", JSON, JSON):
        invoke(query)
        work()
    endpoint.limit, endpoint.words = limit, words
    before = len(endpoint.received)
    task = invoke("multiply 7 by 8")
    work()
    assert "56" in answer_of(task)
    assert len(endpoint.received) - before == 3  # refused, with less, and after the call with less at once


def test_there_is_one_more_try(invoke: Any, work: Any, endpoint: Endpoint) -> None:
    endpoint.limit, endpoint.words = 10, "Input is too long for this."
    task = invoke("multiply 7 by 8")
    work()
    assert "longer than the model's context, even after it was shortened" in again(task).message
    assert "Input is too long for this." in again(task).message
    assert len(endpoint.received) == 2


def test_so_it_is_in_a_running_task_with_one_call_after_another(invoke: Any, work: Any, endpoint: Endpoint) -> None:
    endpoint.limit = 8_000
    task = invoke(" then ".join([LATIN] * 4) + " then multiply 6 by 7")
    work()
    assert "42" in answer_of(task)


def test_a_question_that_no_context_has_room_for_is_an_error_that_says_so(
    invoke: Any, work: Any, endpoint: Endpoint
) -> None:
    endpoint.limit = 300
    task = invoke("hello " * 16_000)
    work()
    assert "start a new session" in again(task).message
    assert len(endpoint.received) == 2


@pytest.mark.parametrize("status", [413, 500, 429])
def test_other_statuses_say_it_too(invoke: Any, work: Any, endpoint: Endpoint, status: int) -> None:
    invoke(JSON)
    work()
    endpoint.limit, endpoint.status, endpoint.words = 10_000, status, "Request too large: the context size is {limit}"
    task = invoke("multiply 6 by 7")
    work()
    assert "42" in answer_of(task)


TOLD = {
    OPENAI.format(limit=128000, asked=200000): (128000, 200000),
    "This model's maximum context length is 8192 tokens. However, you requested 9212 tokens (8188 in the messages, "
    "1024 in the completion). Please reduce the length of the messages or completion.": (8192, 9212),
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300123 tokens.": (
        272000,
        300123,
    ),
    "prompt is too long: 208310 tokens > 200000 maximum": (200000, 208310),
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease": (188240, 200000),
    "the request exceeds the available context size, try increasing it {'n_prompt_tokens': 9001, 'n_ctx': 4096}": (
        4096,
        9001,
    ),
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length": (
        32768,
        40000,
    ),
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).": (1048576, 1200000),
    "The decoder prompt (length 50000) is longer than the maximum model length of 32768.": (32768, 50000),
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.": (131072, 537812),
    "Input is too long for requested model.": (None, None),
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000": (4081, 5000),
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000": (4096, 5000),
    "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length "
    "of only 4096 tokens, which is not enough.": (4096, 5000),
    "litellm.ContextWindowExceededError: prompt too long": (None, None),
    "the input length exceeds the context length": (None, None),
    "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7123": (6000, 7123),
}


def refused(words: str, status: int = 400) -> openai.APIStatusError:
    response: Any = httpx.Response(status, request=httpx.Request("POST", "http://x"))
    return openai.BadRequestError(words, response=response, body=None)


@pytest.mark.parametrize("words", TOLD)
def test_the_ways_to_say_it_are_known(words: str) -> None:
    assert context_length.is_too_long(refused(words))
    assert context_length.is_too_long(ValueError({"message": words}))
    assert context_length._limits(refused(words)) == TOLD[words]


@pytest.mark.parametrize("digits", [19, 4_000, 4_400])
def test_a_number_that_the_error_repeats_from_the_request_does_not_hide_the_limit(digits: int) -> None:
    words = f"maximum context length is 8192 tokens: {'9' * digits}"
    assert context_length._limits(refused(words)) == (8192, 10**18 - 1)


def test_langchains_own_word_for_it_is_known() -> None:
    assert context_length.is_too_long(ContextOverflowError("x"))
    assert not context_length.is_too_long(None)


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens is too large: 32768. This model supports at most 16384 completion tokens",
        "Rate limit reached for gpt-4 on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000",
        "Invalid value for 'content': expected a string",
        "Incorrect API key provided",
    ],
)
def test_other_errors_are_others(words: str) -> None:
    assert not context_length.is_too_long(refused(words))


def test_a_wrong_key_is_a_wrong_key(invoke: Any, work: Any, endpoint: Endpoint) -> None:
    endpoint.limit, endpoint.status = 1, 401
    task = invoke("hello")
    work()
    assert len(endpoint.received) == 1
    assert "API key" in again(task).message


def test_only_as_many_old_tasks_are_read_as_there_is_room_for(
    invoke: Any, settings: Any, django_assert_max_num_queries: Any
) -> None:
    said = conversation.to_wire([])
    for number in range(60):
        row = invoke(f"x{number}")
        said = [{"type": "human", "content": "word " * 1000, "id": f"h{number}"}]
        Task.objects.filter(pk=row.pk).update(status="completed", result={"messages": said})
        if number % 15 == 14:
            Task.objects.filter(status="queued").delete()
    task = invoke("next")
    with django_assert_max_num_queries(3):
        assert len(conversation.opening(task)) < 32
