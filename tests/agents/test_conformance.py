"""LangGraph's own tests of checkpoint savers hold for ours, with and without what they remember."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.conformance import checkpointer_test, validate
from typing_extensions import override

from agents.checkpoints import fenced_saver
from agents.models import Attempt
from agents.state import tasks
from tests.support.concurrency import in_a_loop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_checkpoints")]


class Async(BaseCheckpointSaver[str]):
    """Our savers as those tests call them: by coroutines, and with many threads, each with a saver of its own."""

    def __init__(self, attempt: Attempt, *, remembers: bool) -> None:
        super().__init__()
        self.attempt, self.remembers = attempt, remembers
        self.opened = ExitStack()
        self.savers: dict[str, Any] = {}

    def of(self, thread: str) -> Any:
        if thread not in self.savers:
            saver: Any = self.opened.enter_context(fenced_saver.saver_of(self.attempt))
            if self.remembers:
                saver._thread, saver._is_first = thread, True
            self.savers[thread] = saver
        return self.savers[thread]

    def saver(self, config: RunnableConfig | None) -> Any:
        return self.of(config["configurable"]["thread_id"] if config else "any")

    @override
    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await asyncio.to_thread(self.saver(config).get_tuple, config)

    @override
    async def alist(self, config: RunnableConfig | None, **more: Any) -> AsyncIterator[CheckpointTuple]:
        def found() -> list[CheckpointTuple]:
            for saver in self.savers.values():  # writes of a step wait a moment, unless their own saver is asked
                getattr(saver, "flush", lambda: None)()
            return list(self.saver(config).list(config, **more))

        for one in await asyncio.to_thread(found):
            yield one

    @override
    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        put = self.saver(config).put
        return await asyncio.to_thread(put, config, checkpoint, metadata, new_versions)

    @override
    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await asyncio.to_thread(self.saver(config).put_writes, config, writes, task_id, task_path)

    @override
    async def adelete_thread(self, thread_id: str) -> None:
        await asyncio.to_thread(self.of(thread_id).delete_thread, thread_id)

    @override
    def get_next_version(self, current: str | None, channel: None) -> str:
        return str(self.of("any").get_next_version(current, channel))


@pytest.mark.parametrize("remembers", [True, False])
def test_the_saver_conforms(invoke: Any, remembers: bool) -> None:
    attempt = tasks.claim(invoke("multiply 6 by 7").pk, "w")
    assert attempt is not None

    @checkpointer_test(name="ours")
    async def ours() -> AsyncIterator[Async]:
        saver = Async(attempt, remembers=remembers)
        with saver.opened:
            yield saver

    report = in_a_loop(validate(ours))
    report.print_report()
    assert report.passed_all_base()
