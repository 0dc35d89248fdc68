"""The place in a graph where a tool is called: the node's run, the model's message. It survives pauses and crashes."""

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

TASK_ID = "__pregel_task_id"  # LangGraph's private names; tests/agents/test_guard.py holds it to them
READ = "__pregel_read"
SCRATCHPAD = "__pregel_scratchpad"
ID_LENGTH = 200  # characters of an id in the ledger


@dataclass(frozen=True)
class CallSite:
    """The place of one call in the run of a graph."""

    node_run: str  # LangGraph's id of this run of the node, in whatever subgraph
    execution: Any  # of the node: LangGraph makes a new scratchpad each time that it runs or retries one
    message: AIMessage | None  # that asks for the call, where the graph has kept one before this node began
    messages: Sequence[BaseMessage] | None  # the conversation of the graph in which the tool runs, where it has one

    @property
    def said(self) -> str:
        """The model's words beside the call."""
        return str(self.message.text) if self.message is not None else ""


@dataclass(frozen=True)
class _Known:
    node_run: str
    call_id: str
    message_id: str


_known: ContextVar[_Known | None] = ContextVar("agentsite_call_site", default=None)


def find(config: RunnableConfig, call_id: str | None) -> CallSite | None:
    """Find the place of a call from the config that its tool was given, or None outside of a graph."""
    inside = config.get("configurable", {})
    node_run = inside.get(TASK_ID)
    if not node_run:
        return None
    messages = _conversation(inside.get(READ))
    return CallSite(str(node_run), inside.get(SCRATCHPAD), asking(messages or (), call_id), messages)


@contextmanager
def known(config: RunnableConfig, call_id: str, message_id: str) -> Iterator[None]:
    """Make known which message of the model asks for the call that is made inside."""
    node_run = str(config.get("configurable", {}).get(TASK_ID))
    reset = _known.set(_Known(node_run, call_id, message_id))
    try:
        yield
    finally:
        _known.reset(reset)


def malformed(message: AIMessage | None, call_id: str | None) -> str:
    """Say what is wrong with the call itself: it can't be read, or there are too many beside it; else ""."""
    if too_many := bounds.excess(message):
        return too_many
    marked = message.additional_kwargs.get(BROKEN_CALLS, ()) if message is not None else ()
    if call_id not in marked:
        return ""
    return str(marked[call_id]) if isinstance(marked, dict) else NO_JSON  # a list in checkpoints of older versions


def is_unique(message: AIMessage) -> bool:
    """Whether the message's id is one that our middleware or LangGraph has made: an endpoint's own may come again."""
    try:
        return uuid.UUID(message.id or "").version == 4
    except ValueError:
        return False


def known_message(site: CallSite, call_id: str) -> str | None:
    """Return the id that our middleware has made known of the message that asks for the call."""
    said = _known.get()
    return said.message_id if said is not None and (said.node_run, said.call_id) == (site.node_run, call_id) else None


@contextmanager
def inside_call(config: RunnableConfig, key: uuid.UUID) -> Iterator[RunnableConfig]:
    """Give the config for what a call does inside: nothing there is taken for what another call of the node does.

    LangGraph numbers the graphs that a node calls in their order. A call that is not run again would not be counted,
    and the sub-agent of the next one would go on from the checkpoints of the first.
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
    """Return what stands in the ledger for the message: the node's run, in the call inside which it is, if any.

    Messages may come again with the same id, in a sub-agent or a later turn, and two payments would be taken for one.
    """
    return f"{tool_calls.NODE}{site.node_run}" if outer is None else f"{tool_calls.NODE}{site.node_run}:{outer}"


def is_written_in(message: AIMessage | None, call_id: str | None, name: str, args: Any) -> bool:
    """Whether this message asks for just this call, and for no other one by that id."""
    calls = [call for call in message.tool_calls if call["id"] == call_id] if message is not None else []
    return len(calls) == 1 and calls[0]["name"] == name and calls[0]["args"] == args


def arguments_in(message: AIMessage | None, call_id: str) -> dict[str, Any] | None:
    """The arguments of the call as the model wrote them, or None where its message is not known."""
    calls = message.tool_calls if message is not None else []
    return next((call["args"] for call in calls if call["id"] == call_id), None)


def direct_call_id(name: str, args_text: str, number: int) -> str:
    """Return an id for a call that has no lasting one: by what it calls, and how often the node has called it before.

    A node that calls a tool by itself gives none, and one that asks a model by itself gets a new one each time that it
    is run again.
    """
    return f"direct:{digest(name, args_text)[:32]}:{number}"


def shortened_id(call_id: str) -> str:
    """Return an id that the ledger has room for."""
    return call_id if len(call_id) <= ID_LENGTH else f"sha256:{digest(call_id)}"


def _conversation(read: Any) -> list[BaseMessage] | None:
    try:
        found = read("messages", False)
    except Exception:  # a graph that has no such channel, or nothing in it yet
        return None
    return [one for one in found if isinstance(one, BaseMessage)] if isinstance(found, list) else None


def asking(messages: Sequence[BaseMessage], call_id: str | None) -> AIMessage | None:
    for message in reversed(messages):
        if isinstance(message, AIMessage) and any(call["id"] == call_id for call in message.tool_calls):
            return message
    return None
