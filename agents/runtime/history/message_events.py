"""Events of a run: its finished messages, and what its graph writes with LangGraph's stream writer."""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from agents.models import Event, Task
from agents.runtime.history import conversation
from agents.state.events import NewEvent
from core.text import canonical, storable

LONGEST = 64 * 1024  # characters of what a graph may write at once


class MessageEvents:
    """Events for the messages of a task, each made once.

    A message becomes an event with the checkpoint that holds it: those of a step that runs again after a crash would
    otherwise become two.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._known: set[str] = set()

    def begin(self, messages: Any) -> None:
        """Make no events for the messages of the newest checkpoint, which have theirs."""
        self._known.update(str(one.id) for one in self._own(messages))

    def new(self, values: dict[str, Any]) -> list[NewEvent]:
        """Return an event for each new message among the values of a checkpoint's channels."""
        new = [one for one in self._own(values.get("messages")) if str(one.id) not in self._known]
        self._known.update(str(one.id) for one in new)
        return [NewEvent(Event.Kind.MESSAGE, wire) for wire in conversation.to_wire(new)]

    def _own(self, messages: Any) -> Sequence[BaseMessage]:
        """Return the task's own messages, from its question on, without those of the session's earlier tasks."""
        found = [one for one in messages if isinstance(one, BaseMessage)] if isinstance(messages, list) else []
        question = str(self._task.pk)
        start = next((i for i, message in enumerate(found) if message.id == question), len(found))
        return [one for one in found[start:] if one.id]


def custom(written: Any) -> NewEvent:
    """Return the event for what a graph wrote. What JSON can't represent becomes text."""
    try:
        text = canonical(storable(written))
    except (TypeError, ValueError, RecursionError):
        written = str(written)
        text = canonical(storable(written))
    if len(text) > LONGEST:
        return NewEvent(Event.Kind.CUSTOM, {"too_long": len(text)})
    return NewEvent(Event.Kind.CUSTOM, {"value": storable(written)})
