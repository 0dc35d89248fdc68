"""Chat model with scripted replies, which the agent uses while the demo data is created."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpx
import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from typing_extensions import override

ENDPOINT = "https://model.example.com/v1/chat/completions"  # nothing is sent there
REFUSALS = {
    400: "This model's context is 8192 tokens.",
    401: "Incorrect API key.",
    404: "There is no model of this name.",
}


@dataclass(frozen=True)
class Line:
    """Reply of the model, with the tool calls that it requests."""

    text: str
    calls: Sequence[tuple[str, dict[str, Any]]] = ()
    refusal: int = 0  # HTTP status of an error to raise instead; one that is not retried


_part: ContextVar[Sequence[Line]] = ContextVar("demo_script")


@contextmanager
def speaking(part: Sequence[Line]) -> Iterator[None]:
    """Make the model answer the current question with these lines, in order, inside the block."""
    reset = _part.set(part)
    try:
        yield
    finally:
        _part.reset(reset)


class ScriptedModel(BaseChatModel):
    """Chat model that finds its place in the script from the conversation alone, so that a run can stop and resume."""

    @property
    @override
    def _llm_type(self) -> str:
        return "scripted"

    @override
    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        """Return self, because the script already names its tools."""
        return self

    @override
    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        """Return the next line of the script. Raises openai.APIStatusError if the line is a refusal."""
        last = max(place for place, message in enumerate(messages) if message.type == "human")
        line = _part.get()[sum(message.type == "ai" for message in messages[last:])]
        if line.refusal:
            response = httpx.Response(line.refusal, request=httpx.Request("POST", ENDPOINT))
            # openai's own variant of httpx has the same shape under another name.
            raise openai.APIStatusError(REFUSALS[line.refusal], response=response, body=None)  # type: ignore[arg-type]
        calls = [
            {"name": name, "args": args, "id": f"call_{place}_{uuid.uuid4().hex}", "type": "tool_call"}
            for place, (name, args) in enumerate(line.calls)
        ]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(line.text, tool_calls=calls))])


def model() -> ScriptedModel:
    """Return the model that `AGENTS[…]["MODEL"]` names while the demo data is created."""
    return ScriptedModel()
