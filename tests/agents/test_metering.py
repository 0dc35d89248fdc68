"""Each request to a model's endpoint is one row, over retries, odd answers, graphs of one's own and kills."""

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connections
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from agents.models import Attempt, ModelCall
from agents.runtime import registry
from agents.runtime.endpoints import calls, http_clients
from agents.runtime.run_context import Run
from agents.runtime.runner import advance
from agents.state import model_calls, tasks
from agents.usage.sums import of_task
from agents.worker import jobs
from demo.model_server import replies
from tests.support.concurrency import lapse_all
from tests.support.endpoint import (
    Endpoint,
    Reply,
    Write,
    anthropic_message,
    breaks_off,
    completion,
    head,
    says,
    trickles,
)
from tests.support.helpers import again
from tests.support.oracle import Crash

pytestmark = pytest.mark.django_db(transaction=True)

GRAPHS = ("tool_node", "bare_agent", "subgraph", "agent_as_tool")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The usage in each completion that the rule model makes."""
    found: list[Any] = []
    make = replies.completion

    def noted(*args: Any) -> Any:
        made = make(*args)
        found.append(made["usage"])
        return made

    monkeypatch.setattr(replies, "completion", noted)
    return found


@pytest.fixture
def use_graph(use_model: Callable[[str], None], settings: Any) -> Callable[[str, str], None]:
    def use(graph: str, model: str) -> None:
        settings.AGENTS["default"].update(GRAPH=f"tests.support.odd_graphs.{graph}")
        use_model(model)

    return use


@pytest.fixture
def ask(settings: Any, monkeypatch: pytest.MonkeyPatch, invoke: Any, work: Any) -> Iterator[Callable[..., list[Any]]]:
    """Run a task against an endpoint that answers so, and return the rows of its calls."""
    opened: list[Endpoint] = []

    def run(*answers: Reply, provider: str = "openai", retry: float = 0.3, timeout: float = 5.0) -> list[ModelCall]:
        monkeypatch.setattr(calls, "FIRST_WAIT", 0.01)
        opened.append(Endpoint(*answers).__enter__())
        settings.OPENAI_BASE_URL = f"{opened[-1].url}/v1"
        monkeypatch.setenv("ANTHROPIC_BASE_URL", opened[-1].url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
        settings.AGENTS = {"default": {**settings.AGENTS["default"], "MODEL": f"{provider}:m"}}
        settings.MODEL_RETRY_SECONDS, settings.MODEL_TIMEOUT_SECONDS = retry, timeout
        registry.agent.cache_clear()
        registry.graph.cache_clear()
        invoke("hello")
        work()
        found = list(ModelCall.objects.order_by("started_at", "repeats"))
        assert len(found) == len(opened[-1].requests)
        return found

    yield run
    for one in opened:
        one.__exit__()


def with_usage(usage: Any) -> Reply:
    return says({**completion(), "usage": usage})


def test_a_call_is_a_row_with_what_the_server_counted(invoke: Any, work: Any, served: Any, settings: Any) -> None:
    settings.MODEL_PRICES = '{"demo": {"input": 1000000, "output": 2000000}}'
    task = invoke("multiply 6 by 7")
    work()
    rows = ModelCall.objects.order_by("started_at")
    assert [(row.input_tokens, row.output_tokens) for row in rows] == [
        (one["prompt_tokens"], one["completion_tokens"]) for one in served
    ]
    assert {(row.task_id, row.user_id, row.session_id, row.agent, row.model) for row in rows} == {
        (task.pk, "ann", "s1", "default", "demo")
    }
    assert {(row.outcome, row.repeats, row.attempt) for row in rows} == {("answered", False, 1)}
    assert [row.cost for row in rows] == [one["prompt_tokens"] + 2 * one["completion_tokens"] for one in served]
    assert all(row.finished_at and row.finished_at >= row.started_at and (row.seconds or 0) > 0 for row in rows)


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_graph_without_our_middleware_is_counted_too(use_graph: Any, asked: Any, served: Any, graph: str) -> None:
    use_graph(graph, "demo")
    asked('call ask_worker with {"text": "hello"}' if graph == "agent_as_tool" else "multiply 6 by 7")
    rows = ModelCall.objects.all()
    assert len(rows) == len(served) > 1
    assert sum(row.input_tokens or 0 for row in rows) == sum(one["prompt_tokens"] for one in served)
    assert {(row.model, row.repeats) for row in rows} == {("demo", False)}


def test_a_retried_call_is_another_row_that_says_so(use_model: Any, asked: Any) -> None:
    use_model("fail-500-once")
    asked("hello")
    rows = ModelCall.objects.order_by("started_at")
    assert [(row.outcome, row.repeats) for row in rows] == [("failed", False), ("answered", True)]
    assert [row.input_tokens is None for row in rows] == [True, False]


def test_asking_once_more_is_another_row(use_model: Any, asked: Any) -> None:
    use_model("odd-empty-once")
    assert asked("hello").status == "completed"
    rows = ModelCall.objects.order_by("started_at")
    assert [(row.outcome, row.repeats) for row in rows] == [("answered", False), ("answered", True)]


def test_thirty_tasks_add_up(use_model: Any, invoke: Any, work: Any, served: Any) -> None:
    models = ("demo", "fail-500-once", "odd-empty-once", "odd-args-list", "demo")
    found = []
    for number in range(30):
        use_model(models[number % len(models)])
        found.append(invoke(f"multiply {number} by 7", session=f"s{number}"))
        work()
    assert {again(task).status for task in found} == {"completed"}
    sums = [of_task(task) for task in found]
    failed = ModelCall.objects.filter(outcome="failed").count()
    assert failed == sum(one.failed for one in sums) > 0
    assert sum(one.calls for one in sums) == len(served) + failed
    assert sum(one.input_tokens for one in sums) == sum(one["prompt_tokens"] for one in served)
    assert sum(one.output_tokens for one in sums) == sum(one["completion_tokens"] for one in served)
    assert sum(one.unknown for one in sums) == 0


@pytest.mark.parametrize(
    "usage",
    [
        None,
        "many",
        [],
        7,
        {},
        {"prompt_tokens": "12", "completion_tokens": None},
        {"prompt_tokens": -1, "completion_tokens": -5},
        {"prompt_tokens": 10**12, "completion_tokens": 2**80},
        {"prompt_tokens": 1.5, "completion_tokens": True},
        {"prompt_tokens": {"a": 1}, "completion_tokens": [3]},
    ],
)
def test_usage_that_makes_no_sense_is_unknown_and_never_a_failure(ask: Any, usage: Any) -> None:
    (row,) = ask(with_usage(usage))
    assert (row.outcome, row.input_tokens, row.output_tokens, row.cost) == ("answered", None, None, None)
    assert again(row.task).status == "completed"
    assert of_task(row.task).unknown == 1


def test_half_of_it_is_kept_and_counts_as_unknown(ask: Any, settings: Any) -> None:
    settings.MODEL_PRICES = '{"m": {"input": 1, "output": 1}}'
    (row,) = ask(with_usage({"prompt_tokens": 12, "prompt_tokens_details": {"cached_tokens": 13}}))
    assert (row.input_tokens, row.cached_tokens, row.output_tokens, row.cost) == (12, None, None, None)
    assert of_task(row.task).unknown == 1


def test_an_answer_that_no_client_understands_has_cost_something_too(ask: Any) -> None:
    rows = ask(says({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}))
    assert again(rows[0].task).status == "error"
    assert {(row.outcome, row.input_tokens, row.output_tokens) for row in rows} == {("answered", 5, 3)}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (says({"error": {"message": "no"}}, status=401), "failed"),
        (says("<html>busy</html>", status=503, content_type="text/html"), "failed"),
        (breaks_off(completion()), "unknown"),
        (trickles(completion(), 0.2), "unknown"),
        (trickles(completion(), 0.2, in_head=True), "unknown"),
    ],
)
def test_how_a_call_ended_is_recorded(ask: Any, answer: Reply, outcome: str) -> None:
    rows = ask(answer, timeout=0.6, retry=0)
    assert {(row.outcome, row.input_tokens) for row in rows} == {(outcome, None)}
    assert all(row.finished_at for row in rows)


def test_a_call_that_reaches_nobody_has_failed(ask: Any, settings: Any, invoke: Any, work: Any) -> None:
    settings.OPENAI_BASE_URL, settings.MODEL_RETRY_SECONDS = "http://127.0.0.1:9/v1", 0
    registry.agent.cache_clear()
    registry.graph.cache_clear()
    invoke("hello")
    work()
    assert [row.outcome for row in ModelCall.objects.all()] == ["failed"]


def test_a_compressed_answer_is_read(ask: Any) -> None:
    body = gzip.compress(json.dumps(completion()).encode())

    def reply(write: Write, _: threading.Event) -> None:
        write(head(200, len(body), "application/json", {"Content_Encoding": "gzip"}) + body)

    (row,) = ask(reply)
    assert (row.input_tokens, row.output_tokens) == (1, 1)


def test_a_client_of_another_provider_is_counted(ask: Any) -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 2, "output_tokens": 3}
    (row,) = ask(says({**anthropic_message(), "usage": usage}), provider="anthropic")
    assert (row.model, row.input_tokens, row.cached_tokens, row.output_tokens) == ("m", 14, 7, 3)


def test_a_name_that_no_database_holds_is_made_one_that_it_does(attempt: Attempt) -> None:
    row = model_calls.enter(attempt.task, attempt, "m\x00\ud800" + "x" * 500, "step")
    assert len(ModelCall.objects.get(pk=row.pk).model) == 200


def test_what_a_memory_strategy_asks_after_a_task_is_counted_for_it(
    invoke: Any, work: Any, settings: Any, served: Any
) -> None:
    settings.AGENTS["default"]["MEMORY"] = "tests.support.own_memory.Summary"
    registry.agent.cache_clear()
    task = invoke("hello")
    work()
    before = len(served)
    jobs.remember(str(task.pk))
    assert len(served) == before + 1 == ModelCall.objects.filter(task=task, outcome="answered").count()
    task.delete()
    with pytest.raises(tasks.StaleAttempt):
        model_calls.enter(task, None, "demo", "step")


# Streams


@pytest.fixture
def attempt(invoke: Any) -> Attempt:
    claimed = tasks.claim(invoke("hello").pk, "w")
    assert claimed is not None
    return claimed


def streamed(attempt: Attempt, *events: Any, pieces: int | None = None) -> ModelCall:
    """Read so many pieces of a stream with these events, and return the row of the call."""
    lines = "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in events)
    with Endpoint(says(lines, content_type="text/event-stream")) as server:
        model = ChatOpenAI(model="m", base_url=f"{server.url}/v1", api_key=SecretStr("k"), stream_usage=True)
        http_clients.prepare(model)
        run = Run(attempt.task, attempt, registry.agent("default"), "")
        with run.active():
            stream = model.stream("hello")
            for number, _ in enumerate(stream, 1):
                if number == pieces:
                    stream.close()  # type: ignore[attr-defined] # it is a generator
                    break
    return ModelCall.objects.get()


def chunk(text: str, usage: Any = None) -> dict[str, Any]:
    choices = [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}] if text else []
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "m",
        "choices": choices,
        "usage": usage,
    }


USAGE = {"prompt_tokens": 11, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 3}}


def test_a_stream_is_counted_at_its_end(attempt: Attempt) -> None:
    row = streamed(attempt, chunk("Do"), chunk("ne"), chunk("", USAGE), "[DONE]")
    assert (row.outcome, row.input_tokens, row.output_tokens, row.reasoning_tokens) == ("answered", 11, 4, 3)


def test_a_growing_count_is_not_added_up(attempt: Attempt) -> None:
    row = streamed(attempt, chunk("Do", {**USAGE, "completion_tokens": 3}), chunk("ne", USAGE), "[DONE]")
    assert (row.input_tokens, row.output_tokens) == (11, 4)


def test_a_stream_without_usage_is_unknown(attempt: Attempt) -> None:
    row = streamed(attempt, chunk("Done"), "[DONE]")
    assert (row.outcome, row.input_tokens) == ("answered", None)


# Attempts that end, and a database that is away


def test_an_attempt_that_is_over_sends_nothing(attempt: Attempt, model_server: Any, event: threading.Event) -> None:
    tasks.cancel(attempt.task)
    model_server.received.clear()
    with pytest.raises(tasks.StaleAttempt):
        model_calls.enter(attempt.task, attempt, "demo", "step")
    with pytest.raises(tasks.StaleAttempt):
        advance(attempt, event)
    assert (list(model_server.received), ModelCall.objects.count()) == ([], 0)


def test_a_call_in_a_graph_of_ones_own_ends_with_its_attempt(
    use_graph: Any, attempt: Attempt, model_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_graph("bare_agent", "demo")
    model_server.received.clear()
    enter = model_calls.enter

    def cancelled_first(*args: Any) -> ModelCall:
        Attempt.objects.update(ended_at="2026-01-01T00:00:00Z")
        return enter(*args)

    monkeypatch.setattr(model_calls, "enter", cancelled_first)
    with pytest.raises(tasks.StaleAttempt):
        advance(attempt, threading.Event())
    assert list(model_server.received) == []


@pytest.mark.parametrize("graph", ["bare_agent", None])
def test_a_call_that_can_not_be_entered_is_not_sent(
    use_graph: Any, use_model: Any, attempt: Attempt, model_server: Any, monkeypatch: pytest.MonkeyPatch, graph: Any
) -> None:
    use_graph(graph, "demo") if graph else use_model("demo")
    model_server.received.clear()

    def away(*_: Any) -> ModelCall:
        raise OperationalError("the database is away")

    monkeypatch.setattr(model_calls, "enter", away)
    with pytest.raises(OperationalError):
        advance(attempt, threading.Event())
    assert list(model_server.received) == []


def test_an_answer_that_can_not_be_recorded_is_used_all_the_same(
    invoke: Any, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> bool:
        raise OperationalError("the database is away")

    monkeypatch.setattr(model_calls, "close", away)
    task = invoke("hello")
    work()
    assert again(task).status == "completed"
    assert [row.outcome for row in ModelCall.objects.all()] == ["started"]


def test_an_attempt_that_is_over_closes_its_own_call(attempt: Attempt) -> None:
    row = model_calls.enter(attempt.task, attempt, "demo", "step")
    lapse_all()
    assert model_calls.close(row, ModelCall.Outcome.ANSWERED, 1.0)
    assert not model_calls.close(row, ModelCall.Outcome.UNKNOWN, 2.0)
    assert ModelCall.objects.get().outcome == "answered"


def test_a_call_that_a_later_attempt_makes_again_repeats_it(
    invoke: Any, work: Any, published: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = model_calls.close

    def dies(*args: Any) -> bool:
        monkeypatch.setattr(model_calls, "close", close)
        raise Crash

    monkeypatch.setattr(model_calls, "close", dies)
    task = invoke("hello")
    with pytest.raises(Crash):
        work()
    lapse_all()
    work()
    assert again(task).status == "completed"
    rows = ModelCall.objects.order_by("started_at").values_list("attempt", "outcome", "repeats")
    assert list(rows) == [(1, "started", False), (2, "answered", True)]


def test_the_connection_is_given_back_while_the_model_is_waited_for(
    invoke: Any, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, held = replies.completion, Counter[bool]()
    enter, entering = model_calls.enter, []

    def entered(*args: Any) -> ModelCall:
        entering.append(connections["default"])
        return enter(*args)

    def asked(*args: Any) -> Any:
        held[any(one.connection is not None for one in entering)] += 1
        return make(*args)

    monkeypatch.setattr(model_calls, "enter", entered)
    monkeypatch.setattr(replies, "completion", asked)
    invoke("hello")
    work()
    assert held == {False: 1}


def test_it_takes_two_statements(attempt: Attempt, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        row = model_calls.enter(attempt.task, attempt, "demo", "step")
        model_calls.close(row, ModelCall.Outcome.ANSWERED, 1.0)
