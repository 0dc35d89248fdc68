"""Events that tell what a run has done: its finished messages, and what its graph writes for those who watch."""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from agents.models import Event, Task
from agents.runtime.history import conversation
from agents.state.events import Told
from core.text import canonical, storable

LONGEST = 64 * 1024  # characters of what a graph may write at once


class Telling:
    """Messages of a task that its events don't hold yet.

    A message is told with the checkpoint that holds it, so that those of a step that runs again after a crash are told
    once.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._told: set[str] = set()

    def begin(self, messages: Any) -> None:
        """Take the messages of the newest checkpoint, if there is one, as told."""
        self._told.update(str(one.id) for one in self._own(messages))

    def new(self, values: dict[str, Any]) -> list[Told]:
        """Return an event for each new message among the values of a checkpoint's channels."""
        new = [one for one in self._own(values.get("messages")) if str(one.id) not in self._told]
        self._told.update(str(one.id) for one in new)
        return [Told(Event.Kind.MESSAGE, wire) for wire in conversation.to_wire(new)]

    def _own(self, messages: Any) -> Sequence[BaseMessage]:
        """Return the task's own messages, from its question on, without those of the session's earlier tasks."""
        found = [one for one in messages if isinstance(one, BaseMessage)] if isinstance(messages, list) else []
        question = str(self._task.pk)
        start = next((i for i, message in enumerate(found) if message.id == question), len(found))
        return [one for one in found[start:] if one.id]


def custom(written: Any) -> Told:
    """Tell what a graph wrote with LangGraph's stream writer. What JSON can't represent becomes text."""
    try:
        text = canonical(storable(written))
    except (TypeError, ValueError, RecursionError):
        written = str(written)
        text = canonical(storable(written))
    if len(text) > LONGEST:
        return Told(Event.Kind.CUSTOM, {"too_long": len(text)})
    return Told(Event.Kind.CUSTOM, {"value": storable(written)})
