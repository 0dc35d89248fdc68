"""Streams read in this process, and by a real server."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from agents.watching.streams import SessionView, TaskView, stream
from tests.support.concurrency import in_a_loop


class Read:
    """What one stream has sent."""

    def __init__(self, text: str) -> None:
        blocks = [block for block in text.split("\n\n") if "event: " in block]
        self.events = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
        self.ids = [one["id"] for one in self.events if "id" in one]
        self.kinds = [one["event"] for one in self.events]
        self.data = [json.loads(one["data"]) for one in self.events]


Reading = Callable[..., Read]


@pytest.fixture
def reading() -> Reading:
    """Read a stream until it ends, or says no more for so long; do something once it has begun."""

    def read(view: TaskView | SessionView, *, quiet: float = 1.5, then: Any = None, allowed: Any = None) -> Read:
        async def may() -> bool:
            return allowed() if allowed else True

        async def collect() -> str:
            found, source = b"", stream(view, may)
            acting = asyncio.create_task(asyncio.to_thread(then)) if then else None
            try:
                while True:
                    found += await asyncio.wait_for(anext(source), quiet)
            except (StopAsyncIteration, TimeoutError):
                return found.decode()
            finally:
                await source.aclose()
                if acting:
                    await acting

        return Read(in_a_loop(collect()))

    return read
