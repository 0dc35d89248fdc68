"""Connections that a request's thread gives to an event loop, because their response lasts.

gunicorn imports this before Django is set up, so the response itself (`agents.watching.responses`) brings the loop.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Protocol, runtime_checkable

from typing_extensions import override

logger = logging.getLogger(__name__)

BUFFER = 64 * 1024  # bytes that may wait for a client before its stream waits, too
BEHIND = 30.0  # seconds for which a stream waits for its client before it is dropped; the client can come back
LASTING = "agentsite.lasting"  # the same as in agents.watching.responses
LAST = b"0\r\n\r\n"

App = Callable[[dict[str, Any], Any], Any]


@runtime_checkable
class Lasting(Protocol):
    """A response whose parts come over time."""

    brings_head: bool  # whether the parts begin with the status line and the headers

    def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the parts."""

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the loop that serves such responses."""

    def close(self) -> None:
        """End the request."""


class Taken:
    """Rest of a response whose connection is taken over: its head, which is sent at once."""

    def __init__(self, response: Lasting, environ: dict[str, Any], gunicorn_response: Any) -> None:
        self._response = response
        self._socket = environ["gunicorn.socket"]
        self._sent = gunicorn_response

    def __iter__(self) -> Any:
        self._sent.force_close()
        if self._response.brings_head:
            self._sent.headers_sent, self._sent.chunked = True, False
        self._sent.send_headers()
        self._socket.taken = (self._response, self._sent.chunked)
        self._sent.chunked = False  # otherwise gunicorn would end the body
        return iter(())

    def close(self) -> None:
        """End the request for Django, which closes this thread's connections to the database."""
        self._response.close()


def taking_over(app: App) -> App:
    """Return the WSGI app with lasting responses taken over from its threads."""

    def call(environ: dict[str, Any], start_response: Any) -> Any:
        environ[LASTING] = True
        response = app(environ, start_response)
        if isinstance(response, Lasting) and environ["REQUEST_METHOD"] != "HEAD":
            return Taken(response, environ, start_response.__self__)
        return response

    return call


def serve(client: socket.socket, unsent: bytes, response: Lasting, *, chunked: bool) -> None:
    """Serve the rest of a response in its loop, and close the connection."""
    client.setblocking(False)
    response.spawn(_serve(client, unsent, response, chunked))


class _Client(asyncio.Protocol):
    """Connection to a client that only listens."""

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self._task = task
        self._writable = asyncio.Event()
        self._writable.set()

    @override
    def pause_writing(self) -> None:
        self._writable.clear()

    @override
    def resume_writing(self) -> None:
        self._writable.set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._task.cancel()

    async def keeps_up(self) -> None:
        """Wait until the client has read enough. Raises TimeoutError."""
        async with asyncio.timeout(BEHIND):
            await self._writable.wait()


async def _serve(client: socket.socket, unsent: bytes, response: Lasting, chunked: bool) -> None:
    task = asyncio.current_task()
    assert task is not None
    transport, protocol = await asyncio.get_running_loop().connect_accepted_socket(lambda: _Client(task), client)
    transport.set_write_buffer_limits(high=BUFFER)
    try:
        transport.write(unsent)
        async with aclosing(response.parts()) as parts:
            async for part in parts:
                transport.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                await protocol.keeps_up()
        transport.write(LAST if chunked else b"")
    except (asyncio.CancelledError, TimeoutError, OSError) as error:
        logger.debug("a stream was broken off: %r", error)
        transport.abort()
    except Exception:
        logger.exception("a stream ended with an error")
        transport.abort()
    finally:
        transport.close()
