"""One trace from the request over the worker's runs to model and tools, and nothing of what was said in it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from rest_framework.test import APIClient

from agents.models import Task
from agents.observability.tracing import tool_call
from agents.runtime import registry, runner
from agents.state import tasks
from agentsite.api import system
from agentsite.observability import tracing
from reviews.decisions.services import Choice, decide
from tests.agentsite.test_settings import manage
from tests.support.helpers import open_review

pytestmark = pytest.mark.django_db(transaction=True)

ABOVE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """The SDK, which can be set up once a process; the tests of other modules make spans that nobody looks at."""
    made = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    trace.set_tracer_provider(provider)
    return made


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[Any]:
    """The spans that have ended, by their names."""
    exporter.clear()

    def named(name: str) -> list[ReadableSpan]:
        return [span for span in exporter.get_finished_spans() if span.name == name]

    yield named
    exporter.clear()


def trace_of(span: ReadableSpan) -> str:
    return trace.format_trace_id(span.context.trace_id)


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and span.parent.span_id == parent.context.span_id


@pytest.fixture
def submitted(api: APIClient) -> Any:
    """Submit a query below the trace ABOVE and return its row."""

    def submit(query: str) -> Task:
        api.post("/agent/invoke", {"query": query}, headers={"traceparent": ABOVE})
        return Task.objects.get()

    return submit


def test_one_trace_leads_from_the_request_to_model_and_tool(spans: Any, submitted: Any, work: Any) -> None:
    submitted("multiply 6 by 7")
    work()
    (request,), (run,), (tool,) = spans("POST /agent/invoke"), spans("task run"), spans("tool call")
    assert is_child(run, request)
    assert is_child(tool, run)
    assert [is_child(call, run) for call in spans("model call")] == [True, True]
    assert {trace_of(span) for span in (request, run, tool)} == {ABOVE[3:35]}


def test_an_incoming_trace_is_continued(spans: Any) -> None:
    Client().get("/", headers={"traceparent": ABOVE})
    (request,) = spans("GET /")
    assert request.parent.span_id == int("b7ad6b7169203331", 16)
    assert request.kind == SpanKind.SERVER


@pytest.mark.parametrize("given", ["", "nonsense", ABOVE.replace("-01", ""), "00-" + "0" * 32 + ABOVE[35:], "x" * 9999])
def test_without_a_sound_one_a_trace_begins(spans: Any, given: str) -> None:
    Client().get("/", headers={"traceparent": given})
    (request,) = spans("GET /")
    assert request.parent is None


def test_a_request_span_tells_route_and_status_but_no_id(spans: Any, api: APIClient) -> None:
    api.get("/agent/tasks/ann/s1")
    (span,) = spans("GET /agent/tasks/<str:user_id>/<str:session_id>")
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/agent/tasks/<str:user_id>/<str:session_id>",
        "http.response.status_code": 200,
    }


def test_a_path_that_is_no_route_is_not_told(spans: Any) -> None:
    Client().get("/nothing/here")
    assert spans("GET")[0].attributes == {"http.request.method": "GET", "http.response.status_code": 404}
    assert spans("GET")[0].status.status_code == StatusCode.UNSET


def test_a_method_of_the_clients_making_is_not_told(spans: Any) -> None:
    Client().generic("BREW", "/nothing/here")
    assert spans("_OTHER")


def test_an_error_of_ours_marks_the_span(spans: Any, api: APIClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(system, "limit_of", lambda request: 1 / 0)  # before its cache
    api.raise_request_exception = False
    api.get("/system/info")
    assert spans("GET /system/info")[0].status.status_code == StatusCode.ERROR


def test_probes_have_no_span(spans: Any, exporter: InMemorySpanExporter) -> None:
    Client().get("/health")
    assert exporter.get_finished_spans() == ()


def test_a_run_tells_task_attempt_agent_and_outcome(spans: Any, submitted: Any, work: Any) -> None:
    task = submitted("multiply 6 by 7")
    work()
    (run,) = spans("task run")
    assert run.kind == SpanKind.CONSUMER
    assert run.attributes == {
        "agentsite.task": str(task.pk),
        "agentsite.attempt": "1",
        "agentsite.agent": "default",
        "agentsite.outcome": "finished",
    }


def test_the_run_after_an_approval_continues_the_trace(spans: Any, submitted: Any, work: Any, reviewer: User) -> None:
    task = submitted("book the Ritz for 2 nights")
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    first, second = spans("task run")
    assert [first.attributes["agentsite.outcome"], second.attributes["agentsite.outcome"]] == ["paused", "finished"]
    assert trace_of(first) == trace_of(second) == ABOVE[3:35]
    assert is_child(spans("tool call")[0], second)
    assert first.status.status_code == StatusCode.UNSET, "a pause is no error"


def test_a_run_whose_attempt_is_over_is_stale(spans: Any, submitted: Any, work: Any, monkeypatch: Any) -> None:
    task = submitted("multiply 6 by 7")
    monkeypatch.setattr(runner, "_outcome", lambda state, run: tasks.cancel(task) and runner.Finished({}))
    work()
    assert spans("task run")[0].attributes["agentsite.outcome"] == "stale"


def test_a_model_call_tells_model_tokens_and_retries(spans: Any, submitted: Any, work: Any) -> None:
    submitted("multiply 6 by 7")
    work()
    call = spans("model call")[0].attributes
    assert call["gen_ai.request.model"] == "demo"
    assert call["gen_ai.usage.input_tokens"] > call["gen_ai.usage.output_tokens"] > 0
    assert (call["agentsite.model.retries"], call["agentsite.status"]) == (0, "answered")


def test_a_failing_model_call_tells_its_kind_and_retries(spans: Any, submitted: Any, work: Any, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "MODEL": "openai:fail-500"}}
    settings.MODEL_RETRY_SECONDS = 2.0
    registry.graph.cache_clear()
    submitted("multiply 6 by 7")
    work()
    (call,) = spans("model call")
    assert (call.attributes["agentsite.model.error"], call.attributes["agentsite.status"]) == ("http_500", "failed")
    assert call.attributes["agentsite.model.retries"] >= 1
    assert call.status.status_code == StatusCode.ERROR
    assert spans("task run")[0].attributes["agentsite.outcome"] == "failed"


def test_a_tool_call_tells_name_and_status(spans: Any, submitted: Any, work: Any) -> None:
    submitted("multiply 6 by 7")
    work()
    assert spans("tool call")[0].attributes == {"gen_ai.tool.name": "multiply", "agentsite.status": "succeeded"}


@pytest.mark.usefixtures("oracle")
def test_a_tool_that_raises_tells_the_class_and_not_the_text(
    spans: Any, submitted: Any, work: Any, reviewer: User
) -> None:
    task = submitted('call charge_and_refuse with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    (call,) = spans("tool call")
    assert (call.attributes["agentsite.status"], call.attributes["error.type"]) == ("failed", "ToolException")
    assert call.status.status_code == StatusCode.ERROR
    assert not call.status.description
    assert call.events == ()


def test_a_tool_that_asks_is_no_error(spans: Any) -> None:
    with pytest.raises(LookupError), tool_call("survey", asks=LookupError):
        raise LookupError
    (call,) = spans("tool call")
    assert call.attributes["agentsite.status"] == "interrupted"
    assert call.status.status_code == StatusCode.UNSET


def test_no_span_holds_what_was_said(spans: Any, exporter: InMemorySpanExporter, api: APIClient, work: Any) -> None:
    body = {"user_id": "zoe", "session_id": "travel", "query": "remember that I prefer window seats"}
    api.post("/agent/invoke", body)
    work()
    everything = " ".join(span.to_json() for span in exporter.get_finished_spans())
    assert "task run" in everything
    assert not re.search("zoe|travel|window|helpful", everything)


def test_a_task_keeps_the_span_it_was_submitted_in(spans: Any, submitted: Any) -> None:
    task = submitted("hello")
    (request,) = spans("POST /agent/invoke")
    assert task.traceparent == f"00-{ABOVE[3:35]}-{trace.format_span_id(request.context.span_id)}-01"


def test_log_lines_name_their_trace(spans: Any, submitted: Any, work: Any, json_log: Any) -> None:
    submitted("multiply 6 by 7")
    work()
    completed = next(event for event in json_log() if "completed" in event["event"])
    assert completed["trace_id"] == ABOVE[3:35]
    access = next(event for event in json_log() if event["logger"] == "agentsite.requests")
    assert access["trace_id"] == ABOVE[3:35]


# Setting it up


def test_without_an_endpoint_nothing_is_set_up(settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tracing, "import_string", lambda path: pytest.fail("loaded"))
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = ""
    tracing.set_up()
    assert tracing.check() == []


def test_with_an_endpoint_the_exporter_starts(settings: Any, monkeypatch: Any) -> None:
    started: list[str] = []
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
    monkeypatch.setattr(tracing, "_is_installed", lambda: True)
    monkeypatch.setattr(tracing, "import_string", lambda path: lambda: started.append(path))
    tracing.set_up()
    assert started == ["agentsite.observability.exporter.start"]
    assert tracing.check() == []


def test_without_the_packages_the_check_says_in_one_line_what_to_do(monkeypatch: Any, settings: Any) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
    monkeypatch.setattr(tracing, "NEEDED", ("opentelemetry.sdk", "opentelemetry.exporter.no.such"))
    (error,) = tracing.check()
    assert error.id == "tracing.E001"
    assert "requirements-otel.txt" in str(error.hint)
    assert "\n" not in str(error.msg)


def test_without_the_packages_the_service_runs_and_logs_it(monkeypatch: Any, settings: Any, json_log: Any) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
    monkeypatch.setattr(tracing, "NEEDED", ("no_such_package",))
    tracing.set_up()
    assert "No traces are exported" in json_log()[0]["event"]


def test_the_command_checks_it() -> None:
    done = manage("check", DEBUG="true", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert done.returncode == (0 if tracing._is_installed() else 1)
    assert ("tracing.E001" in done.stderr) != tracing._is_installed()


EXPORT = """
import sys, types
from opentelemetry import trace
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
package = types.ModuleType("trace_exporter")
package.OTLPSpanExporter = ConsoleSpanExporter
sys.modules["opentelemetry.exporter.otlp.proto.http.trace_exporter"] = package
from agentsite.observability import exporter
exporter.start()
exporter.start()
trace.get_tracer("probe").start_span("probe").end()
"""


@pytest.mark.parametrize("name", ["", "shop-agents"])
def test_spans_are_exported_once_under_the_services_name(name: str) -> None:
    """With a console in the place of the collector, in a process of its own."""
    done = manage("shell", "--no-imports", "-c", EXPORT, DEBUG="true", OTEL_SERVICE_NAME=name)
    assert done.stdout.count('"name": "probe"') == 1, done.stderr
    assert f'"service.name": "{name or "agentsite"}"' in done.stdout


def test_a_prefork_child_that_ends_sends_what_it_has(monkeypatch: Any, exporter: InMemorySpanExporter) -> None:
    flushed: list[bool] = []
    monkeypatch.setattr(trace.get_tracer_provider(), "force_flush", lambda: flushed.append(True))
    tracing._send_the_rest()
    assert flushed == [True]
