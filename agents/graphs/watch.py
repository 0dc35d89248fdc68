"""What is counted and traced of one call of the model: its outcome, time, tokens, failures. Never what was said."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from opentelemetry.trace import Span

from agents import tracing


class Watch:
    """On one model call with all its retries."""

    def __init__(self, model: str, span: Span) -> None:
        self.model = model
        self.span = span
        self.retries = 0

    def retried(self, error: BaseException | None) -> None:
        """A request has failed and another one follows."""
        self.retries += 1

    def failed(self, error: BaseException) -> None:
        """The call is given up."""
        self.span.set_attribute("agentsite.model.error", kind_of(error))
        self._ended("failed")

    def answered(self, messages: Iterable[BaseMessage]) -> None:
        """The model has answered with these."""
        reported = [message.usage_metadata for message in messages if isinstance(message, AIMessage)]
        usage = [one for one in reported if one is not None]  # an endpoint may tell nothing
        used = {"input": sum(u["input_tokens"] for u in usage), "output": sum(u["output_tokens"] for u in usage)}
        for direction, tokens in used.items():
            self.span.set_attribute(f"gen_ai.usage.{direction}_tokens", tokens)
        self._ended("answered")

    def _ended(self, outcome: str) -> None:
        self.span.set_attribute("agentsite.status", outcome)
        self.span.set_attribute("agentsite.model.retries", self.retries)


@contextmanager
def watched(model: BaseChatModel) -> Iterator[Watch]:
    """Time and trace the call inside."""
    name = str(getattr(model, "model_name", "") or getattr(model, "model", "") or type(model).__name__)
    with tracing.span("model call", {"gen_ai.request.model": name}) as span:
        yield Watch(name, span)


def kind_of(error: BaseException | None) -> str:
    """What kind of failure a request ended with: timeout, connection, http_<status> or no_completion."""
    if isinstance(error, openai.APITimeoutError):
        return "timeout"
    if isinstance(error, openai.APIConnectionError):
        return "connection"
    if isinstance(error, openai.APIStatusError):
        return f"http_{error.status_code}"
    return "no_completion"
