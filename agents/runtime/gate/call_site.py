"""Place of a tool call in a graph: the node's run and the model's message. It is the same after a pause or a crash."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig

from agents.runtime.endpoints.written_calls import NO_JSON
from agents.runtime.middleware import bounds
from agents.runtime.middleware.answers import BROKEN_CALLS
from agents.state import tool_calls
from core.text import digest

TASK_ID = "__pregel_task_id"  # LangGraph's private names; covered by tests/agents/test_guard.py
READ = "__pregel_read"
SCRATCHPAD = "__pregel_scratchpad"
ID_LENGTH = 200  # characters of an id in the ledger


@dataclass(frozen=True)
class CallSite:
    """The place of one call in the run of a graph."""

    node_run: str  # LangGraph's id of this run of the node, which may be in a subgraph
    execution: Any  # LangGraph's scratchpad, a new object for each run or retry of the node
    message: AIMessage | None  # with the call; None unless the graph stored it before this node began
    messages: Sequence[BaseMessage] | None  # of the graph in which the tool runs, if it has a conversation

    @property
    def said(self) -> str:
        """Text that the model wrote beside the call."""
        return str(self.message.text) if self.message is not None else ""


@dataclass(frozen=True)
class _Known:
    node_run: str
    call_id: str
    message_id: str


_known: ContextVar[_Known | None] = ContextVar("agentsite_call_site", default=None)


def find(config: RunnableConfig, call_id: str | None) -> CallSite | None:
    """Return the place of a call, from the config that its tool received, or None outside a graph."""
    inside = config.get("configurable", {})
    node_run = inside.get(TASK_ID)
    if not node_run:
        return None
    messages = _conversation(inside.get(READ))
    return CallSite(str(node_run), inside.get(SCRATCHPAD), asking(messages or (), call_id), messages)


@contextmanager
def known(config: RunnableConfig, call_id: str, message_id: str) -> Iterator[None]:
    """Record, while the context is open, which message of the model asks for the call; see `known_message`."""
    node_run = str(config.get("configurable", {}).get(TASK_ID))
    reset = _known.set(_Known(node_run, call_id, message_id))
    try:
        yield
    finally:
        _known.reset(reset)


def malformed(message: AIMessage | None, call_id: str | None) -> str:
    """Return why the call itself can't run (it is unreadable, or one of too many in its message), or ""."""
    if too_many := bounds.excess(message):
        return too_many
    marked = message.additional_kwargs.get(BROKEN_CALLS, ()) if message is not None else ()
    if call_id not in marked:
        return ""
    return str(marked[call_id]) if isinstance(marked, dict) else NO_JSON  # a list in checkpoints of older versions


def is_unique(message: AIMessage) -> bool:
    """Return whether our middleware or LangGraph made the message's id. An endpoint may repeat its own ids."""
    try:
        return uuid.UUID(message.id or "").version == 4
    except ValueError:
        return False


def known_message(site: CallSite, call_id: str) -> str | None:
    """Return the id that `known` recorded for the message that asks for the call, or None."""
    said = _known.get()
    return said.message_id if said is not None and (said.node_run, said.call_id) == (site.node_run, call_id) else None


@contextmanager
def inside_call(config: RunnableConfig, key: uuid.UUID) -> Iterator[RunnableConfig]:
    """Yield the config for the code inside a call, kept apart from the node's other calls.

    LangGraph numbers the graphs that a node calls in the order of the calls. A call that is not run again would not be
    counted, and the sub-agent of the next call would continue from the checkpoints of the first. So each call starts
    its own numbering from its key.
    """
    inside = config.get("configurable", {})
    scratchpad = inside.get(SCRATCHPAD)
    if scratchpad is not None:
        scratchpad = replace(scratchpad, subgraph_counter=count(key.int).__next__)
        config = {**config, "configurable": {**inside, SCRATCHPAD: scratchpad}}
    reset = _known.set(None)
    try:
        yield config
    finally:
        _known.reset(reset)


def node_id(site: CallSite, outer: uuid.UUID | None) -> str:
    """Return the ledger's substitute for a message id: the node's run, and the outer call if there is one.

    A message id may recur in a sub-agent or a later turn, and two payments would then be treated as one.
    """
    return f"{tool_calls.NODE}{site.node_run}" if outer is None else f"{tool_calls.NODE}{site.node_run}:{outer}"


def is_written_in(message: AIMessage | None, call_id: str | None, name: str, args: Any) -> bool:
    """Return whether the message contains exactly this call, and no other call with the same id."""
    calls = [call for call in message.tool_calls if call["id"] == call_id] if message is not None else []
    return len(calls) == 1 and calls[0]["name"] == name and calls[0]["args"] == args


def arguments_in(message: AIMessage | None, call_id: str) -> dict[str, Any] | None:
    """Return the call's arguments as the model wrote them, or None if the message is unknown or has no such call."""
    calls = message.tool_calls if message is not None else []
    return next((call["args"] for call in calls if call["id"] == call_id), None)


def direct_call_id(name: str, args_text: str, number: int) -> str:
    """Return an id for a call without a stable one, from the tool, its arguments and the number of the call.

    A node that calls a tool itself passes no id. A node that asks a model itself gets a new id each time it reruns.
    """
    return f"direct:{digest(name, args_text)[:32]}:{number}"


def shortened_id(call_id: str) -> str:
    """Return the id, or a hash of it if it is too long for the ledger."""
    return call_id if len(call_id) <= ID_LENGTH else f"sha256:{digest(call_id)}"


def _conversation(read: Any) -> list[BaseMessage] | None:
    try:
        found = read("messages", False)
    except Exception:  # the graph has no such channel, or the channel is still empty
        return None
    return [one for one in found if isinstance(one, BaseMessage)] if isinstance(found, list) else None


def asking(messages: Sequence[BaseMessage], call_id: str | None) -> AIMessage | None:
    for message in reversed(messages):
        if isinstance(message, AIMessage) and any(call["id"] == call_id for call in message.tool_calls):
            return message
    return None
