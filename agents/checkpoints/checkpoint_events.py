"""Events that are stored in one transaction with a checkpoint."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata
from typing_extensions import override

from agents.models import Attempt
from agents.state.events import NewEvent
from agents.watching import publisher

EventsOf = Callable[[dict[str, Any]], list[NewEvent]]  # from the values of a checkpoint's channels

# Of the checkpoint that this thread is writing: those of sub-agents may be written at the same time.
_pending: ContextVar[list[NewEvent]] = ContextVar("agentsite_pending_events")


class AppendsEvents(BaseCheckpointSaver[str]):
    """Mixin for the saver of one attempt, which stores events along with checkpoints of the task's own graph."""

    attempt: Attempt
    events_of: EventsOf | None = None

    @override
    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        events: list[NewEvent] = []
        configurable = config["configurable"]
        if (
            self.events_of
            and not configurable.get("checkpoint_ns")
            and configurable["thread_id"] == str(self.attempt.task_id)
        ):
            events = self.events_of(checkpoint["channel_values"])
        reset = _pending.set(events)
        try:
            written = super().put(config, checkpoint, metadata, new_versions)
        finally:
            _pending.reset(reset)
        if events:
            publisher.publish_change(self.attempt.task.session_id, self.attempt.task_id)
        return written

    def pending_events(self) -> list[NewEvent]:
        """Return the events of the checkpoint that is being written."""
        return _pending.get([])
