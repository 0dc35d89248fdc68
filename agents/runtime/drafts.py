"""Answers of models for those who watch a task, while they are being written."""

from agents.models import Task
from agents.runtime.endpoints.listening import Listener
from agents.watching import news
from agents.watching.news import Piece


class Watchers:
    """Listener that passes a task's answers on to those who watch its session."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def begin(self, message_id: str) -> "Draft":
        """Return the draft of an answer."""
        return Draft(self._task, message_id)


class Draft:
    """An answer that is being written. Its pieces are sent at once, and forgotten when it is whole or given up."""

    def __init__(self, task: Task, message_id: str) -> None:
        self._task = task
        self._message_id = message_id
        self._written = {"text": 0, "reasoning": 0}  # characters

    def text(self, delta: str) -> None:
        """Send the next piece of the text."""
        self._write("text", delta)

    def reasoning(self, delta: str) -> None:
        """Send the next piece of the reasoning."""
        self._write("reasoning", delta)

    def end(self) -> None:
        """Forget the pieces: the message follows."""
        news.finish(self._task.pk, self._message_id)

    def abandoned(self) -> None:
        """Forget the pieces: the model is asked again, or the task has ended."""
        news.finish(self._task.pk, self._message_id)

    def _write(self, kind: str, delta: str) -> None:
        news.write(self._task.session_id, Piece(self._task.pk, self._message_id, self._written[kind], delta, kind))
        self._written[kind] += len(delta)


def listener_for(task: Task) -> Listener | None:
    """Return a listener if somebody watches the task now. Asks the database or Redis."""
    return Watchers(task) if news.is_watched(task.session_id) else None
