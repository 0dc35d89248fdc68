"""Meter of model calls, in the transport of the HTTP clients: the one place that sees every request.

Retries, fallbacks and graphs that call their model without our middleware all go through it. A request is entered
before it leaves, and closed when its answer has been read, or fails.
"""

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import ModuleType
from typing import Any

from django.db import connection
from langgraph.config import get_config

from agents.models import ModelCall, Task
from agents.runtime.endpoints import reported_usage, responses
from agents.runtime.run_context import Run, active_run
from agents.state import model_calls
from agents.usage.tokens import NOTHING, Tokens
from core.text import digest

logger = logging.getLogger(__name__)

KEPT = 32 * 1024 * 1024  # bytes of an answer that are kept to read its usage
UNSENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "LocalProtocolError", "ProxyError"}
UNNAMED = "unknown"

_model: ContextVar[str] = ContextVar("name of the model that our middleware asks", default="")
_ended: ContextVar[Task | None] = ContextVar("ended task of which something is remembered", default=None)
_lock = threading.Lock()


@contextmanager
def remembering(task: Task) -> Iterator[None]:
    """Count the requests inside the block, which are made after the task has ended, as calls for it."""
    token = _ended.set(task)
    try:
        yield
    finally:
        _ended.reset(token)


@contextmanager
def asking(model: str) -> Iterator[None]:
    """Count the requests inside the block as calls of this model for the present step of the graph."""
    token = _model.set(model)
    try:
        yield
    finally:
        _model.reset(token)


def meter(transport: Any, library: ModuleType) -> None:
    """Have the transport of a client of this library count what it sends for a task. Safe to repeat."""
    with _lock:
        if getattr(transport, "agentsite_metered", False):
            return
        send = transport.handle_request

        def handle_request(request: Any) -> Any:
            run, ended = active_run(), _ended.get()
            task = ended if run is None else run.task
            if task is None or request.method != "POST":
                return send(request)
            call = Call(task, run, request)
            try:
                response = send(request)
            except BaseException as error:
                call.broke(error)
                raise
            response.stream = _stream_of(library)(response.stream, call, response)
            return response

        transport.handle_request, transport.agentsite_metered = handle_request, True


class Call:
    """A request that was entered, until it is closed."""

    def __init__(self, task: Task, run: Run | None, request: Any) -> None:
        """Enter the request. If it can't be, raise RunEnded in a run: nothing is sent that nobody has counted."""
        body = _body(request)
        model = _model.get()
        place = _place()
        step = digest(place) if model else digest(place, body.decode("utf-8", "replace"))
        try:
            with _released():
                name = model or _named(body, str(request.url))
                self.row = model_calls.enter(task, run.attempt if run else None, name, step)
        except Exception as error:
            if run is None:
                raise
            raise run.ended_by(error) from error
        self.started = time.monotonic()
        self.is_closed = False

    def broke(self, error: BaseException) -> None:
        """Close the call, which failed before its answer was there."""
        is_unsent = type(error).__name__ in UNSENT
        self.close(ModelCall.Outcome.FAILED if is_unsent else ModelCall.Outcome.UNKNOWN)

    def close(self, outcome: ModelCall.Outcome, tokens: Tokens = NOTHING) -> None:
        """Close the call, once. If the database is away, the sweeper will close it as unknown."""
        if self.is_closed:
            return
        self.is_closed = True
        try:
            with _released():
                model_calls.close(self.row, outcome, time.monotonic() - self.started, tokens)
        except Exception as error:  # the answer is there all the same
            logger.warning("model call %s: its usage was not recorded: %s", self.row.pk, error)


class Metered:
    """Mixin of a response's stream that closes the call with the usage in what was read."""

    def __init__(self, stream: Any, call: Call, response: Any) -> None:
        self._stream, self._call, self._response = stream, call, response
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_whole = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._size += len(piece)
            if self._size <= KEPT:
                self._pieces.append(piece)
            yield piece
        self._is_whole = True

    def close(self) -> None:
        """Close the stream and the call."""
        try:
            self._stream.close()
        finally:
            if not self._call.is_closed:
                self._call.close(*self._outcome())

    def _outcome(self) -> tuple[ModelCall.Outcome, Tokens]:
        if not 200 <= self._response.status_code < 300:
            return ModelCall.Outcome.FAILED, NOTHING
        try:
            body = self._body()
            if self._is_whole or reported_usage.is_over(body):
                return ModelCall.Outcome.ANSWERED, reported_usage.read(body)
        except Exception as error:  # whatever the endpoint has sent must not end the run
            logger.warning("model call %s: its usage can't be read: %r", self._call.row.pk, error)
        return (ModelCall.Outcome.ANSWERED if self._is_whole else ModelCall.Outcome.UNKNOWN), NOTHING

    def _body(self) -> bytes:
        """Return what was read, decoded as the client decodes it; nothing if it was too much to keep."""
        if self._size > KEPT:
            return b""
        raw = b"".join(self._pieces)
        encoding = self._response.headers.get("Content-Encoding")
        if not encoding:
            return raw
        again = type(self._response)(200, headers={"Content-Encoding": encoding}, content=raw)
        return bytes(again.content)


@cache
def _stream_of(library: ModuleType) -> Any:
    """Return the class of a metered stream that this library takes for one of its own."""
    return type("MeteredStream", (Metered, library.SyncByteStream), {})


def library_of(client: Any) -> ModuleType:
    """Return httpx or httpx2, whichever the client is of."""
    names = (kind.__module__ for kind in type(client).__mro__ if kind.__name__ == "Client")
    return sys.modules[next(names)]


@contextmanager
def _released() -> Iterator[None]:
    """Close the database connection afterwards if it was not open before: a model may take minutes."""
    was_open = connection.connection is not None
    try:
        yield
    finally:
        if not was_open and not connection.in_atomic_block:
            connection.close()


def _place() -> str:
    """Return LangGraph's name for the present execution of a node: the same when a later attempt executes it again."""
    try:
        config = get_config()
    except RuntimeError:  # in a thread that a tool or a node has started
        return ""
    return str(config.get("configurable", {}).get("checkpoint_ns", ""))


def _body(request: Any) -> bytes:
    try:
        return bytes(request.content)
    except Exception:  # it is sent as a stream
        return b""


def _named(body: bytes, url: str) -> str:
    """Return the name of the model that a request asks for, in its body or, as with Google, in its address."""
    document = responses.decoded(body)
    name = document.get("model") if isinstance(document, dict) else None
    if isinstance(name, str) and name.strip():
        return name
    after = url.partition("/models/")[2]
    return after.partition("?")[0].partition(":")[0].strip("/") or UNNAMED
