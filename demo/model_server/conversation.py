"""Parsing of a chat completions request for the rules."""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ROLES = {"system", "developer", "user", "assistant", "tool"}
MEMORIES = re.compile(r"<memories>(.*?)</memories>", re.DOTALL)


class BadRequest(ValueError):
    """Raised for an invalid chat completions request; the message says why."""


@dataclass(frozen=True)
class Result:
    """Result of a tool call for the current question."""

    tool: str
    text: str


@dataclass(frozen=True)
class Conversation:
    """A request as the rules see it."""

    questions: tuple[str, ...]  # what the user said, the current question last
    facts: tuple[str, ...]  # memories that the system prompt quotes
    tools: frozenset[str]  # names of the tools that the request offers
    results: tuple[Result, ...]  # since the current question, in the order of the calls
    turns: int  # how often the model called tools since the current question


def read(request: Any) -> Conversation:
    """Return the conversation in the request's decoded body. Raises BadRequest."""
    if not isinstance(request, dict):
        raise BadRequest("The body must be a JSON object.")
    if not isinstance(request.get("model"), str) or not request["model"]:
        raise BadRequest("you must provide a model parameter")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list with at least one message.")
    try:
        if unknown := [message["role"] for message in messages if message["role"] not in ROLES]:
            raise BadRequest(f"Invalid role: {unknown[0]!r}.")
        _require_answered(messages)
        return _read(messages, _offered(request))
    except (AttributeError, KeyError, TypeError) as error:
        raise BadRequest(f"A message or a tool is malformed ({type(error).__name__}: {error}).") from error


def _read(messages: list[dict[str, Any]], tools: frozenset[str]) -> Conversation:
    last = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=-1)
    since = messages[last + 1 :]
    told = {message["tool_call_id"]: _text(message) for message in since if message["role"] == "tool"}
    calls = [call for message in since for call in _calls(message)]
    system = "\n".join(_text(message) for message in messages if message["role"] in ("system", "developer"))
    return Conversation(
        questions=tuple(_text(message) for message in messages if message["role"] == "user"),
        facts=tuple(_facts(system)),
        tools=tools,
        results=tuple(Result(call["function"]["name"], told[call["id"]]) for call in calls),
        turns=sum(bool(_calls(message)) for message in since),
    )


def _require_answered(messages: list[dict[str, Any]]) -> None:
    """Raise BadRequest for calls without results, like OpenAI, and for empty messages of the model, like other servers.

    This shows a broken history before a real model gets it.
    """
    waiting: set[str] = set()
    for message in [*messages, {"role": "end"}]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                raise BadRequest(
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                )
            waiting.remove(message["tool_call_id"])
        elif message["role"] == "assistant" and not (_calls(message) or _text(message).strip()):
            raise BadRequest("An assistant message must have either content or tool_calls.")
        elif waiting:
            raise BadRequest(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. These had no response: {', '.join(sorted(waiting))}"
            )
        else:
            waiting = {call["id"] for call in _calls(message)}


def _offered(request: dict[str, Any]) -> frozenset[str]:
    if request.get("tool_choice") == "none":
        return frozenset()
    return frozenset(tool["function"]["name"] for tool in request.get("tools") or [])


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    return message.get("tool_calls") or [] if message["role"] == "assistant" else []


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _facts(system: str) -> Iterable[str]:
    """Return the lines of the last block: an earlier one may come from the client's own addition to the prompt."""
    blocks = MEMORIES.findall(system)
    lines = blocks[-1].splitlines() if blocks else []
    return (html.unescape(line[2:]) for line in lines if line.startswith("- "))
