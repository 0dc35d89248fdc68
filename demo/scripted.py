"""A chat model that says what is written down: who plays the agent's part while the desk is being filled."""

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
    """One thing that the model says, with the calls that it wants made."""

    text: str
    calls: Sequence[tuple[str, dict[str, Any]]] = ()
    refusal: int = 0  # the HTTP status with which the endpoint fails instead; one that nobody tries again


_part: ContextVar[Sequence[Line]] = ContextVar("demo_script")


@contextmanager
def speaking(part: Sequence[Line]) -> Iterator[None]:
    """Meanwhile the model's answers to the current question are these, in their order."""
    reset = _part.set(part)
    try:
        yield
    finally:
        _part.reset(reset)


class ScriptedModel(BaseChatModel):
    """Where it stands follows from the conversation alone, so that a run may pause and go on."""

    @property
    @override
    def _llm_type(self) -> str:
        return "scripted"

    @override
    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        """What is written down knows its tools."""
        return self

    @override
    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        """Raises openai.APIStatusError where the script says so."""
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
    """What `AGENTS[…]["MODEL"]` names while the desk is being filled."""
    return ScriptedModel()
