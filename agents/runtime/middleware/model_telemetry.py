"""Metrics and trace of one model call: its outcome, time, tokens and failures, but never its content."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from opentelemetry.trace import Span

from agents.observability import metrics, tracing


class Watch:
    """Recorder of one model call with all its retries."""

    def __init__(self, model: str, span: Span) -> None:
        self.model = model
        self.span = span
        self.retries = 0

    def retried(self, kind: str) -> None:
        """Record that a request failed with this kind of error and is retried."""
        self.retries += 1
        metrics.count(metrics.MODEL_RETRIES, self.model)
        metrics.count(metrics.MODEL_ERRORS, kind)

    def failed(self, kind: str) -> None:
        """Record that the call failed for good with this kind of error."""
        metrics.count(metrics.MODEL_ERRORS, kind)
        self.span.set_attribute("agentsite.model.error", kind)
        self._ended("failed")

    def answered(self, messages: Iterable[BaseMessage]) -> None:
        """Record that the model answered with these messages."""
        reported = [message.usage_metadata for message in messages if isinstance(message, AIMessage)]
        usage = [one for one in reported if one is not None]  # an endpoint may report no usage
        used = {"input": sum(u["input_tokens"] for u in usage), "output": sum(u["output_tokens"] for u in usage)}
        for direction, tokens in used.items():
            metrics.count(metrics.MODEL_TOKENS, self.model, direction, by=tokens)
            self.span.set_attribute(f"gen_ai.usage.{direction}_tokens", tokens)
        self._ended("answered")

    def _ended(self, outcome: str) -> None:
        metrics.count(metrics.MODEL_CALLS, self.model, outcome)
        self.span.set_attribute("agentsite.status", outcome)
        self.span.set_attribute("agentsite.model.retries", self.retries)


@contextmanager
def watched(model: BaseChatModel) -> Iterator[Watch]:
    """Time and trace the model call inside the context, and yield its `Watch`."""
    started = time.monotonic()
    name = str(getattr(model, "model_name", "") or getattr(model, "model", "") or type(model).__name__)
    with tracing.span("model call", {"gen_ai.request.model": name}) as span:
        try:
            yield Watch(name, span)
        finally:
            metrics.observe(metrics.MODEL_SECONDS, time.monotonic() - started, name)
