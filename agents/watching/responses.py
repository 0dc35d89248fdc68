"""Responses that last: a stream of events, and an answer that waits for something to happen.

A server that can, takes the connection over and serves it in the hub's thread (`agentsite.server.gunicorn_worker`), so
that no thread waits for a client. Under ASGI the server's own loop does the same. Any other keeps a thread busy.
"""

import asyncio
import queue
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from django.http import StreamingHttpResponse
from typing_extensions import override

from agents.watching.hub import hub

BEHIND = 100  # parts for which a client may be behind

Source = Callable[[], AsyncGenerator[bytes, None]]


class LiveResponse(StreamingHttpResponse):
    """Server-sent events from an asynchronous source."""

    def __init__(self, source: Source) -> None:
        super().__init__((), content_type="text/event-stream")
        self.parts = source
        self.is_async = True  # what Django's ASGI handler asks
        self.headers["Cache-Control"] = "no-store"
        self.headers["X-Accel-Buffering"] = "no"  # nginx passes on each event at once

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the hub's loop."""
        hub().spawn(coroutine)

    @override
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.parts()

    @override
    def __iter__(self) -> Iterator[bytes]:
        """Yield the events in a thread of a server that can't do better."""
        sent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        is_over = False

        async def pump() -> None:
            source = self.parts()
            try:
                async for data in source:
                    sent.put(data)
                    while sent.qsize() > BEHIND and not is_over:
                        await asyncio.sleep(0.05)
                    if is_over:
                        return
            finally:
                sent.put(None)
                await source.aclose()

        self.spawn(pump())
        try:
            while (data := sent.get()) is not None:
                yield data
        finally:
            is_over = True
