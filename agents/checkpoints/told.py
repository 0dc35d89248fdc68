"""Events that are stored together with the checkpoint that they tell of."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata
from typing_extensions import override

from agents.models import Attempt
from agents.state.events import Told
from agents.watching import news

News = Callable[[dict[str, Any]], list[Told]]  # from the values of a checkpoint's channels

# Of the checkpoint that this thread is writing: those of sub-agents may be written at the same time.
_untold: ContextVar[list[Told]] = ContextVar("agentsite_untold")


class TellsMessages(BaseCheckpointSaver[str]):
    """Mixin for the saver of one attempt, which stores events along with checkpoints of the task's own graph."""

    attempt: Attempt
    news: News | None = None

    @override
    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        events: list[Told] = []
        configurable = config["configurable"]
        if (
            self.news
            and not configurable.get("checkpoint_ns")
            and configurable["thread_id"] == str(self.attempt.task_id)
        ):
            events = self.news(checkpoint["channel_values"])
        reset = _untold.set(events)
        try:
            written = super().put(config, checkpoint, metadata, new_versions)
        finally:
            _untold.reset(reset)
        if events:
            news.announce(self.attempt.task.session_id, self.attempt.task_id)
        return written

    def untold(self) -> list[Told]:
        """Return the events of the checkpoint that is being written."""
        return _untold.get([])
