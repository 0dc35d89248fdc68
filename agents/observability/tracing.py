"""Spans of task runs, and the trace context that leads from the request that submitted a task to the worker.

Uses only OpenTelemetry's API: without an SDK (`agentsite/observability/tracing.py` sets one up) it does nothing. A span
holds ids, names, numbers and the class names of exceptions, but no text that a user, a model or a tool wrote.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from structlog.contextvars import get_contextvars

W3C = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("agentsite")


@contextmanager
def span(
    name: str,
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    parent: str = "",
    kind: SpanKind = SpanKind.INTERNAL,
    expected: tuple[type[Exception], ...] = (),
) -> Iterator[Span]:
    """Run the block in a span. Its parent is `parent`, a W3C traceparent, or else the current span.

    An exception marks the span as failed, without the exception's text, unless it is one of `expected`.
    """
    context = W3C.extract({"traceparent": parent}) if parent else None
    with _tracer.start_as_current_span(
        name, context, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield made
        except Exception as error:
            made.set_attribute("error.type", type(error).__name__)
            if not isinstance(error, expected):
                made.set_status(StatusCode.ERROR)
            raise


@contextmanager
def tool_call(tool: str, *, asks: type[Exception]) -> Iterator[None]:
    """Run a tool in a span. `asks` is the exception that the tool raises to ask a question of its own."""
    with span("tool call", {"gen_ai.tool.name": tool}, expected=(asks,)) as made:
        status = "failed"
        try:
            yield
            status = "succeeded"
        except asks:
            status = "interrupted"
            raise
        finally:
            made.set_attribute("agentsite.status", status)


def origin() -> dict[str, str]:
    """Return the fields that a task stores of the current request; "" if there is none."""
    carrier: dict[str, str] = {}
    W3C.inject(carrier)
    return {
        "request_id": str(get_contextvars().get("request_id", "")),
        "traceparent": carrier.get("traceparent", ""),
    }
