"""What a client developer reads when the model's end is broken, and what is tried again."""

from typing import Any

import pytest

from agents.models import Task
from agents.runtime import registry
from tests.support.helpers import again, answer_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def with_model(settings: Any) -> Any:
    """Let the agent use this model; the names that begin with fail- misbehave."""

    def use(name: str, **more: Any) -> None:
        settings.AGENTS = {"default": {**settings.AGENTS["default"], "MODEL": f"openai:{name}"}}
        settings.MODEL_RETRY_SECONDS = more.get("retry", 2.0)
        settings.MODEL_TIMEOUT_SECONDS = more.get("timeout", 5.0)
        registry.agent.cache_clear()
        registry.graph.cache_clear()

    return use


def failed(invoke: Any, work: Any) -> Task:
    task = invoke("multiply 6 by 7")
    work()
    assert again(task).status == "error"
    return again(task)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("fail-401", "refused the API key"),
        ("fail-429", "rate limit"),
        ("fail-500", "HTTP 500"),
        ("fail-garbage", "not a chat completion"),
        ("fail-empty", "not a chat completion"),
    ],
)
def test_a_broken_model_ends_the_task_with_a_message_that_helps(
    with_model: Any, invoke: Any, work: Any, model: str, said: str
) -> None:
    with_model(model)
    message = failed(invoke, work).message
    assert said in message
    assert "ry again" in message or "rying again" in message


def test_a_model_that_never_answers_is_given_up(with_model: Any, invoke: Any, work: Any) -> None:
    with_model("fail-hang", timeout=0.3, retry=1)
    assert "did not answer within 0.3 s" in failed(invoke, work).message


def test_a_model_that_is_not_there_is_given_up(with_model: Any, invoke: Any, work: Any, settings: Any) -> None:
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    with_model("demo", retry=1)
    assert "can't be reached" in failed(invoke, work).message


@pytest.mark.parametrize("model", ["fail-429-once", "fail-500-once"])
def test_a_passing_failure_is_tried_again(with_model: Any, invoke: Any, work: Any, model: str) -> None:
    with_model(model, retry=20)
    task = invoke("multiply 6 by 7")
    work()
    assert "42" in answer_of(task)


def test_a_failed_task_frees_the_session(with_model: Any, invoke: Any, work: Any) -> None:
    with_model("fail-401")
    failed(invoke, work)
    with_model("demo")
    task = invoke("multiply 6 by 7")
    work()
    assert "42" in answer_of(task)
