"""Responses that last: a stream of events, and an answer that waits for something to happen.

A server that can, takes the connection over and serves it in the hub's thread (`agentsite.server.gunicorn_worker`), so
that no thread waits for a client. Under ASGI the server's own loop does the same. Any other keeps a thread busy.
"""

import asyncio
import queue
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from typing_extensions import override

from agents.watching.hub import hub

BEHIND = 100  # parts for which a client may be behind

Source = Callable[[], AsyncGenerator[bytes, None]]


LASTING = "agentsite.lasting"  # in the WSGI environment of a server that takes such responses over


class LiveResponse(StreamingHttpResponse):
    """Server-sent events from an asynchronous source."""

    brings_head = False

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


class HeldResponse(HttpResponse):
    """An answer that a server of LASTING sends once something has happened, without a thread that waits.

    Args:
        waiting: returns when it has happened, or has not in time.
        finish: makes the status code and the body then; it reads the database.
    """

    brings_head = True

    def __init__(
        self, waiting: Callable[[], Coroutine[Any, Any, None]], finish: Callable[[], tuple[int, bytes]]
    ) -> None:
        super().__init__(content_type="application/json")
        self._waiting, self._finish = waiting, finish

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the hub's loop."""
        hub().spawn(coroutine)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the whole response, with the headers that this one has got."""
        await self._waiting()
        status, body = await hub().read(self._finish)
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.items() if name.lower() != "content-length"]
        yield "\r\n".join([*lines, "", ""]).encode("latin-1") + body
