"""Serialize tool results for the ledger and restore them as messages for the model."""

import base64
import json
import logging
from typing import Any

from django.conf import settings
from langchain_core.messages import ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command

from core.text import storable

logger = logging.getLogger(__name__)

Result = Any  # a ToolMessage, a Command, a list of these; for a call that a node makes itself, any JSON value

CUT = "\n[cut: the tool's result is longer than what is kept]"
_BODY_ERROR = "Error invoking tool"  # how LangGraph's ToolNode begins its answer to a ValidationError
_serde = JsonPlusSerializer()


def dumped(result: Result) -> str:
    """Return a result as text for the ledger, cut to the limit. Never raises, because the call has happened."""
    return json.dumps(_dumped(result))


def loaded(text: str, tool: str, tool_call_id: str, note: str = "") -> Result:
    """Return the result that `dumped` wrote, with a note for the model before its text."""
    return _loaded(json.loads(text), tool, tool_call_id, note)


def is_error(result: Result) -> bool:
    """Return whether the result is a ToolMessage with status `error`. False for a Command, a list or a bare value."""
    return isinstance(result, ToolMessage) and result.status == "error"


def _dumped(result: Result) -> dict[str, Any]:
    if isinstance(result, Command):
        return {"command": _packed(result), "content": _shown(result.update)[: settings.TOOL_RESULT_LIMIT]}
    if isinstance(result, list) and result and all(isinstance(one, ToolMessage | Command) for one in result):
        return {"several": [_dumped(one) for one in result], "content": f"{len(result)} results"}
    if isinstance(result, ToolMessage):
        return {"content": _kept(result.content), "status": result.status}
    return {"content": _kept(result), "bare": True}


def _kept(content: Any) -> Any:
    """Return the content as JSON that every database can store, cut to the limit."""
    try:
        content = storable(json.loads(json.dumps(storable(content), default=_shown)))
    except Exception:  # a tool may return anything
        content = storable(_shown(content))
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    if len(text.encode()) > settings.TOOL_RESULT_LIMIT:
        return text.encode()[: settings.TOOL_RESULT_LIMIT].decode("utf-8", "ignore") + CUT
    return content


def _loaded(data: dict[str, Any], tool: str, tool_call_id: str, note: str) -> Result:
    if packed := data.get("command"):
        return _unpacked(packed)
    if "several" in data:
        return [_loaded(one, tool, tool_call_id, note) for one in data["several"]]
    content = data["content"]
    if data.get("bare"):
        return content
    if note and isinstance(content, str):
        content = f"{note}\n{content}"
    elif note:
        content = [{"type": "text", "text": note}, *content]
    return ToolMessage(content, name=tool, tool_call_id=tool_call_id, status=data.get("status", "success"))


def is_body_error(result: Result) -> bool:
    """Return whether the tool's own body raised a ValidationError: its arguments were validated before."""
    return isinstance(result, ToolMessage) and result.status == "error" and str(result.content).startswith(_BODY_ERROR)


def _shown(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"[a {type(value).__name__} that can't be shown]"


def _packed(command: Command[Any]) -> list[str] | None:
    try:
        kind, data = _serde.dumps_typed(command)
        return [kind, base64.b64encode(data).decode()]
    except Exception:  # a tool may return anything; its text is kept
        logger.exception("a tool's command can't be kept")
        return None


def _unpacked(packed: list[str]) -> Command[Any]:
    kind, data = packed
    found: Command[Any] = _serde.loads_typed((kind, base64.b64decode(data)))
    return found
