"""Replies of the rule model, and their shapes in OpenAI's API."""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.model_server.conversation import Conversation, Result
from demo.model_server.rules import ToolCall, help_text, plan

PREFIX = "[demo model] "
CHARACTERS_PER_TOKEN = 4  # a common rule of thumb; not used for billing
FAILED = re.compile(r"error\b|the tool failed|the arguments|this call is denied|there is no tool", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """Text of the model, and the tool calls that it requests, if any."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()

    @property
    def finish_reason(self) -> str:
        """OpenAI's name for why the reply ends."""
        return "tool_calls" if self.calls else "stop"


@dataclass(frozen=True)
class Answer:
    """HTTP response, without the headers that every response has."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def reply_to(conversation: Conversation) -> Reply:
    """Return the calls of the question's next turn, or the answer when no turn is left.

    Depends on the conversation alone: the turns that it already holds determine the next one.
    """
    steps = plan(conversation)
    turns = [calls for turn in steps if (calls := tuple(step for step in turn if isinstance(step, ToolCall)))]
    if conversation.turns < len(turns):
        calls = turns[conversation.turns]
        return Reply(text=f"{PREFIX}I would like to use {_listed([call.name for call in calls])}.", calls=calls)
    said = [step for turn in steps for step in turn if isinstance(step, str)]
    lines = [*map(_told, conversation.results), *said]
    return Reply(text=PREFIX + ("\n".join(lines) or help_text()))


def _listed(names: list[str]) -> str:
    """Return the names as a phrase, each once."""
    once = list(dict.fromkeys(names))
    return " and ".join(filter(None, [", ".join(once[:-1]), once[-1]]))


def _told(result: Result) -> str:
    """Return the result as a sentence. OpenAI's tool messages have no status: only their text shows how it went."""
    if "rejected" in result.text.lower():
        reason = result.text.partition(": ")[2] or result.text
        return f"I am sorry, {result.tool} was rejected: {reason}"
    if FAILED.match(result.text):
        return f"I am sorry, {result.tool} did not work: {result.text}"
    return f"{result.tool}: {result.text}"


def completion(request: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """Return the whole reply as one object."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [_as_call(call) for call in reply.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
    return {**_head(request, "chat.completion"), "choices": [choice], "usage": usage(request, reply)}


def usage(request: dict[str, Any], reply: Reply) -> dict[str, int]:
    """Return roughly counted tokens."""
    asked = _tokens(json.dumps([request["messages"], request.get("tools")], ensure_ascii=False))
    said = _tokens(reply.text + "".join(call.name + json.dumps(call.args) for call in reply.calls))
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def models() -> dict[str, Any]:
    """Return the list of models. Any other name works the same, except for those of `misbehaviours`."""
    return {"object": "list", "data": [{"id": "demo", "object": "model", "created": 0, "owned_by": "agentsite"}]}


def error(message: str, code: str | None = None, type_: str = "invalid_request_error") -> dict[str, Any]:
    """Return an error in OpenAI's shape."""
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


def as_json(status: int, body: dict[str, Any], **headers: str) -> Answer:
    """Return an answer with this body; in the headers' names "_" stands for "-"."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(body).encode(), headers=named)


def _head(request: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{_token()}", "object": kind, "created": int(time.time()), "model": request["model"]}


def _as_call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(call.args, ensure_ascii=False)
    return {"id": f"call_{_token()}", "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _token() -> str:
    return os.urandom(12).hex()


def _tokens(text: str) -> int:
    return len(text) // CHARACTERS_PER_TOKEN + 1
