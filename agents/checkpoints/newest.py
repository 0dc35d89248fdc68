"""Memory of the newest checkpoints that a saver has written or read, so that it need not read them back."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
    writes_sort_key,
)
from typing_extensions import override

from agents.models import Attempt


@dataclass
class _Newest:
    """The newest checkpoint of a namespace, with what its step has written since."""

    saved: CheckpointTuple
    # By node run and index, as in the table: the path of the node run, the channel and the value.
    written: dict[tuple[str, int], tuple[str, str, Any]] = field(default_factory=dict)

    def tuple(self) -> CheckpointTuple:
        """Return the checkpoint as the database would."""
        keys = sorted(self.written, key=lambda key: writes_sort_key(self.written[key][0], *key))
        new = [(node_run, *self.written[node_run, index][1:]) for node_run, index in keys]
        checkpoint = {**self.saved.checkpoint, "channel_values": {**self.saved.checkpoint["channel_values"]}}
        return self.saved._replace(
            checkpoint=checkpoint,  # type: ignore[arg-type] # it is the same TypedDict, copied
            pending_writes=[*(self.saved.pending_writes or ()), *new],
        )


class RemembersNewest(BaseCheckpointSaver[str]):
    """Mixin for the saver of one attempt, which is the only writer of its task's thread.

    It remembers only the newest checkpoint of each namespace of that thread. All else is read from the database.
    """

    attempt: Attempt

    def remember(self, attempt: Attempt) -> None:
        """Begin to remember, for this attempt. The first saver of a task knows that there are no checkpoints yet."""
        self.attempt = attempt
        self._thread = str(attempt.task_id)
        self._is_first = not attempt.task.has_thread
        attempt.task.has_thread = True  # a second saver has to look
        self._newest: dict[str, _Newest] = {}  # by namespace
        self._guard = threading.Lock()

    @override
    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        configurable = config["configurable"]
        namespace = configurable.get("checkpoint_ns", "")
        if configurable["thread_id"] != self._thread or get_checkpoint_id(config):
            return super().get_tuple(config)
        with self._guard:
            if namespace in self._newest:
                return self._newest[namespace].tuple()
            if self._is_first:
                return None
        found = super().get_tuple(config)
        if found is not None and found.pending_writes == []:
            with self._guard:
                self._newest.setdefault(namespace, _Newest(found))
        return found

    @override
    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        written = super().put(config, checkpoint, metadata, new_versions)
        configurable = written["configurable"]
        if configurable["thread_id"] == self._thread:
            parent: RunnableConfig | None = None
            if parent_id := get_checkpoint_id(config):
                parent = {"configurable": {**configurable, "checkpoint_id": parent_id}}
            kept = {**checkpoint, "channel_values": {**checkpoint["channel_values"]}}
            described: Any = get_serializable_checkpoint_metadata(config, metadata)
            with self._guard:
                self._newest[configurable["checkpoint_ns"]] = _Newest(
                    CheckpointTuple(written, kept, described, parent, [])  # type: ignore[arg-type] # as above
                )
        return written

    @override
    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        super().put_writes(config, writes, task_id, task_path)
        configurable = config["configurable"]
        if configurable["thread_id"] != self._thread:
            return
        replaces = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        with self._guard:
            newest = self._newest.get(configurable.get("checkpoint_ns", ""))
            if newest is None:
                self._is_first = False  # of a checkpoint that was not written here
                return
            newest_id = newest.saved.config["configurable"]["checkpoint_id"]
            if configurable["checkpoint_id"] != newest_id:
                return  # a step that is over: its own checkpoint holds what it has written
            for index, (channel, value) in enumerate(writes):
                key = (task_id, WRITES_IDX_MAP.get(channel, index))
                if replaces or key not in newest.written:
                    newest.written[key] = (task_path, channel, value)

    @override
    def delete_thread(self, thread_id: str) -> None:
        super().delete_thread(thread_id)
        with self._guard:
            self._newest.clear()
