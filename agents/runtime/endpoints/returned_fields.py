"""Fields of an endpoint's message that the endpoint expects back: reasoning, signatures, extensions of its own.

langchain-openai drops such fields in both directions. Here they stay with the message: in the checkpoint as a record
in `additional_kwargs`, for the session's later tasks next to the result. They go back only to the endpoint and model
that they came from.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from core.text import canonical, storable

RETURNED = "agentsite_returned"
# Fields that langchain-openai handles, or that are of no use to the endpoint.
MESSAGE = {"role", "content", "name", "id", "refusal", "tool_calls", "function_call", "audio", "parsed", "annotations"}
CALL = {"id", "type", "index", "function"}
FUNCTION = {"name", "arguments"}
# Endpoints expect it back in turns with calls, and ignore or refuse it in others: https://api-docs.deepseek.com/guides/thinking_mode
THOUGHT = {"reasoning_content", "reasoning"}

Record = dict[str, Any]  # {"origin": …, "fields": JSON as text, which a checkpoint can always hold}


def record(origin: str, message: Mapping[str, Any], calls: Iterable[tuple[str, Any]]) -> Record | None:
    """Return the fields to send back with this message of the endpoint, in its own form; None if there are none.

    Args:
        origin: identifies the endpoint and the model.
        calls: the id under which each call is kept, and the call as the endpoint wrote it.
    """
    fields = {
        "message": _others(message, MESSAGE),
        "calls": {call_id: extras for call_id, raw in calls if (extras := _of_call(raw))},
        "blocks": isinstance(message.get("content"), list),
    }
    return {"origin": origin, "fields": _packed(fields)} if any(fields.values()) else None


def give_back(message: BaseMessage, sent: dict[str, Any], origin: str) -> None:
    """Add to the outgoing form of the message the fields that the same endpoint sent with it."""
    kept = message.additional_kwargs.get(RETURNED)
    if not isinstance(kept, dict) or kept.get("origin") != origin:
        return
    fields = json.loads(kept["fields"])
    sent.update({key: value for key, value in fields["message"].items() if key not in sent})
    for call in sent.get("tool_calls") or []:
        extras = dict(fields["calls"].get(call["id"], {}))
        call["function"].update(extras.pop("function", {}))
        call.update(extras)
    if fields["blocks"] and isinstance(message.content, list):
        sent["content"] = message.content  # langchain-openai leaves out blocks of reasoning


def of_task(messages: list[BaseMessage]) -> dict[str, Record]:
    """Return, by message id, the fields that the session's later tasks send back with this task's messages."""
    records = {str(one.id): one.additional_kwargs[RETURNED] for one in messages if RETURNED in one.additional_kwargs}
    if any(isinstance(message, AIMessage) and message.tool_calls for message in messages):
        return records
    return {key: kept for key, one in records.items() if (kept := _without_thought(one)) is not None}


def _of_call(raw: Any) -> dict[str, Any]:
    extras = _others(raw, CALL)
    function = raw.get("function") if raw else None
    inside = _others(function, FUNCTION) if isinstance(function, dict) else {}
    return {**extras, "function": inside} if inside else extras


def _without_thought(kept: Record) -> Record | None:
    fields = json.loads(kept["fields"])
    fields["message"] = _others(fields["message"], THOUGHT)
    return {**kept, "fields": _packed(fields)} if any(fields.values()) else None


def _others(raw: Any, known: set[str]) -> dict[str, Any]:
    """Return the fields that are not known. Empty ones are kept, because some endpoints expect those too."""
    return {key: value for key, value in raw.items() if key not in known and value is not None} if raw else {}


def _packed(fields: dict[str, Any]) -> str:
    try:
        return canonical(fields)
    except (TypeError, ValueError, RecursionError):
        return canonical(storable(fields))
