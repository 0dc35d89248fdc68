"""HTTP clients of chat models, for all providers: a deadline for each request, and access to the newest response.

The timeouts of httpx limit each wait for bytes: a server that sends one byte a second never times out. The exceptions
of providers' packages often lack the endpoint's own message, its headers or even its status, so the response is kept
next to the error.

LangChain's packages for OpenAI, Anthropic, Ollama, Mistral, Groq and others all use a client of httpx or of its
successor httpx2. Neither is imported here, because which one is installed depends on the provider.
"""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from django.conf import settings

from agents.runtime.endpoints import metering

HTTP_LIBRARIES = ("httpx", "httpx2")
HOLDERS = ("root_client", "client", "_client", "_api_client", "_httpx_client")  # attributes that lead to a client
MAX_DEPTH = 4
PIECE = 65_536  # bytes
LOOK = 0.4  # seconds between two looks whether the run of a waiting request has stopped


@dataclass
class Exchange:
    """One request to a model's endpoint, and its response."""

    deadline: float  # of time.monotonic()
    response: Any = None  # of httpx or httpx2; None until its head has arrived, or if the client is of another kind
    is_implied: bool = False  # begun by a request from a graph that calls its model without our middleware
    stop: threading.Event | None = None  # set: nobody waits for the answer any more

    def left(self, core: ModuleType, timeout: float | None) -> float:
        """Return the seconds that one step may take.

        Raises the library's own ReadTimeout when the time is up, and its ReadError when the run has stopped.
        """
        if self.stop is not None and self.stop.is_set():
            raise core.ReadError("the run has stopped")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise core.ReadTimeout("the time of the whole request is up")
        return left if timeout is None else min(left, timeout)


@dataclass(frozen=True)
class ReadResponse:
    """A response whose body was read in pieces, with the text that says most about it."""

    status_code: int
    headers: Any
    text: str


_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


@contextmanager
def exchange(seconds: float, stop: threading.Event | None = None) -> Iterator[Exchange]:
    """Limit the requests that this thread sends through prepared clients to this many seconds in total.

    Args:
        stop: ends the wait for an answer within LOOK seconds after it is set, and closes the connection. A wait for a
            connection goes on until its own time-out.
    """
    begun = Exchange(time.monotonic() + seconds, stop=stop)
    token = _current.set(begun)
    try:
        yield begun
    finally:
        _current.reset(token)


def prepare(model: Any) -> None:
    """Make the model's clients keep to the deadline of `exchange` and record their responses in it. Safe to repeat.

    They also count what they send in a run. Outside of an exchange, each request may take MODEL_TIMEOUT_SECONDS.
    """
    for client in _clients(model):
        hooks = client.event_hooks
        if _note not in hooks["response"]:
            client.event_hooks = {"request": [*hooks["request"], _begin], "response": [*hooks["response"], _note]}
        for transport in filter(None, (client._transport, *client._mounts.values())):
            metering.meter(transport, metering.library_of(client))
            pool = getattr(transport, "_pool", None)
            if pool is not None and not isinstance(pool._network_backend, Backend):
                pool._network_backend = Backend(pool._network_backend)


def _begin(_: Any) -> None:
    current = _current.get()
    if current is None or current.is_implied:
        _current.set(Exchange(time.monotonic() + settings.MODEL_TIMEOUT_SECONDS, is_implied=True))


def _note(response: Any) -> None:
    current = _current.get()
    if current is not None:
        current.response = response


def note_text(response: Any, body: bytes) -> None:
    """Record the body of a response that was read in pieces, or the part of it that would explain a failure."""
    current = _current.get()
    if current is not None:
        text = body.decode(errors="replace")
        current.response = ReadResponse(response.status_code, response.headers, text)


@contextmanager
def hurry(seconds: float) -> Iterator[None]:
    """Limit what the current exchange still waits for inside the block to this many seconds."""
    current = _current.get() or Exchange(time.monotonic())
    deadline = current.deadline
    current.deadline = min(deadline, time.monotonic() + seconds)
    try:
        yield
    finally:
        current.deadline = deadline


def _clients(holder: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the synchronous HTTP clients with which the model, or an object it holds, sends its requests."""
    if any(kind.__name__ == "Client" and kind.__module__ in HTTP_LIBRARIES for kind in type(holder).__mro__):
        yield holder
    elif depth < MAX_DEPTH:
        for name in HOLDERS:
            try:
                held = getattr(holder, name, None)
            except Exception:  # a lazily made client may lack its settings; the request will fail the same way
                continue
            if held is not None:
                yield from _clients(held, depth + 1)


class Backend:
    """A network backend of httpcore or httpcore2 with connections that keep to the deadline of the current exchange."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._core = sys.modules[type(backend).__module__.partition(".")[0]]

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> "Stream":
        """Connect to the first address of the host that answers. All attempts share the exchange's deadline."""
        current = _current.get()
        if current is None:
            return self._stream(self._backend.connect_tcp(host, port, timeout, local_address, socket_options))
        failed: Exception | None = None
        for address in self._addresses(host, port):
            left = current.left(self._core, timeout)
            try:
                return self._stream(self._backend.connect_tcp(address, port, left, local_address, socket_options))
            except (self._core.ConnectError, self._core.ConnectTimeout) as error:
                failed = error
        raise failed or self._core.ConnectError(f"{host} has no address")

    def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Any = None) -> "Stream":
        """Connect to a socket of this machine."""
        return self._stream(self._backend.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        """Pause between two attempts to connect."""
        self._backend.sleep(seconds)

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise self._core.ConnectError(str(error)) from error
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def _stream(self, stream: Any) -> "Stream":
        return Stream(stream, self._core)


class Stream:
    """A connection that waits no longer than the current exchange has left. It may serve several exchanges in turn."""

    def __init__(self, stream: Any, core: ModuleType) -> None:
        self._stream = stream
        self._core = core

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read at most `max_bytes` bytes. Raises ReadError within LOOK seconds after the run has stopped."""
        current = _current.get()
        if current is None or current.stop is None:
            return bytes(self._stream.read(max_bytes, self._left(timeout)))
        until = time.monotonic() + current.left(self._core, timeout)
        while (left := until - time.monotonic()) > LOOK:
            try:
                return bytes(self._stream.read(max_bytes, LOOK))
            except self._core.ReadTimeout:  # nothing has come, so nothing is lost
                current.left(self._core, timeout)
        return bytes(self._stream.read(max_bytes, max(left, 0.001)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes in pieces, because the layer below restarts its timeout for each part that the server accepts."""
        for start in range(0, len(buffer), PIECE):
            self._stream.write(buffer[start : start + PIECE], self._left(timeout))

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> "Stream":
        """Encrypt the connection from here on."""
        return Stream(self._stream.start_tls(ssl_context, server_hostname, self._left(timeout)), self._core)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """Return information from the layer below, such as the socket or the addresses."""
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None) -> float | None:
        current = _current.get()
        return timeout if current is None else current.left(self._core, timeout)
