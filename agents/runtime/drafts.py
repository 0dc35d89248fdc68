"""Publishing of models' answers to the watchers of a task, while they are being written."""

from agents.models import Task
from agents.runtime.endpoints.listening import Listener
from agents.watching import publisher
from agents.watching.publisher import TextChunk


class Watchers:
    """Listener that publishes a task's answers to the watchers of its session."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def begin(self, message_id: str) -> "Draft":
        """Return the draft of an answer."""
        return Draft(self._task, message_id)


class Draft:
    """Answer that is being written. Its chunks are published at once, and discarded when it is whole or abandoned."""

    def __init__(self, task: Task, message_id: str) -> None:
        self._task = task
        self._message_id = message_id
        self._written = {"text": 0, "reasoning": 0}  # characters

    def text(self, delta: str) -> None:
        """Publish the next chunk of the text."""
        self._write("text", delta)

    def reasoning(self, delta: str) -> None:
        """Publish the next chunk of the reasoning."""
        self._write("reasoning", delta)

    def end(self) -> None:
        """Discard the chunks: the message follows."""
        publisher.discard_chunks(self._task.pk, self._message_id)

    def abandoned(self) -> None:
        """Discard the chunks: the model is asked again, or the task has ended."""
        publisher.discard_chunks(self._task.pk, self._message_id)

    def _write(self, kind: str, delta: str) -> None:
        chunk = TextChunk(self._task.pk, self._message_id, self._written[kind], delta, kind)
        publisher.publish_chunk(self._task.session_id, chunk)
        self._written[kind] += len(delta)


def listener_for(task: Task) -> Listener | None:
    """Return a listener if somebody watches the task now. Asks the database or Redis."""
    return Watchers(task) if publisher.is_watched(task.session_id) else None
