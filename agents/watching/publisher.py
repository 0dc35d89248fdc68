"""Publishing for watchers: that a task has new events, and chunks of a message that a model is writing.

What is published is a hint, as a job is: web processes poll as well, so a loss costs only time. A thread sends it, so
that no run and no request waits for Redis.
"""

import json
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import redis
from django.conf import settings
from django.db import connections

from agents.models import Chunk, Watch
from core.db.clock import Now

logger = logging.getLogger(__name__)

TOGETHER = 0.03  # seconds between two sendings, each of all that has come
PAUSE = 5.0  # seconds without another try after Redis has failed
TIMEOUT = 1.0  # seconds to connect, and to wait for a response
KEPT = 120  # seconds for which the chunks of an unfinished message are kept
WAITING = 10_000  # changes and chunks that may wait to be sent; more are dropped


@dataclass(frozen=True)
class TextChunk:
    """A chunk of a message's text, or of the reasoning before it."""

    task: uuid.UUID
    message_id: str
    position: int  # of its first character
    text: str
    kind: str = "text"


@dataclass(frozen=True)
class _Change:
    session: uuid.UUID
    task: uuid.UUID


@dataclass(frozen=True)
class _NewChunk:
    session: uuid.UUID
    chunk: TextChunk


@dataclass(frozen=True)
class _Discarded:
    task: uuid.UUID
    message_id: str


def publish_change(session: uuid.UUID, task: uuid.UUID) -> None:
    """Publish that the task has new events. Without Redis, web processes poll for them."""
    if settings.REDIS_URL:
        _sender().put(_Change(session, task))


def publish_chunk(session: uuid.UUID, chunk: TextChunk) -> None:
    """Publish a chunk of a message to the watchers of the session."""
    _sender().put(_NewChunk(session, chunk))


def discard_chunks(task: uuid.UUID, message_id: str) -> None:
    """Discard the chunks of a message that is finished or abandoned."""
    _sender().put(_Discarded(task, message_id))


def is_watched(session: uuid.UUID) -> bool:
    """Return whether somebody watches the session; False while Redis is away. Without Redis, the database is asked."""
    if not settings.REDIS_URL:
        return Watch.objects.filter(pk=session, until__gt=Now()).exists()
    sender = _sender()
    if time.monotonic() < sender.away_until:
        return False
    try:
        return bool(client().exists(key("watched", session)))
    except redis.RedisError as error:
        sender.pause(error)
        return False


def key(about: str, pk: uuid.UUID) -> str:
    """Return the name of a channel or key in Redis."""
    return f"{settings.REDIS_PREFIX}{about}:{pk}"


@cache
def _client_of(pid: int, url: str) -> "redis.Redis":
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)


def client() -> "redis.Redis":
    """Return this process's client of Redis."""
    return _client_of(os.getpid(), settings.REDIS_URL)


class Sender:
    """Thread that sends what the process publishes."""

    def __init__(self) -> None:
        self.away_until = 0.0  # monotonic time
        self._waiting: queue.Queue[Any] = queue.Queue(WAITING)
        threading.Thread(target=self._send_forever, name="publisher", daemon=True).start()

    def put(self, item: Any) -> None:
        """Send a change or a chunk soon. Drops it if WAITING others wait, or Redis is away."""
        if time.monotonic() >= self.away_until:
            try:
                self._waiting.put_nowait(item)
            except queue.Full:
                logger.debug("too much waits to be published, some is dropped")

    def pause(self, error: Exception) -> None:
        """Send nothing for PAUSE seconds after this error."""
        self.away_until = time.monotonic() + PAUSE
        logger.warning("nothing is published to watchers for %g s (%s)", PAUSE, error)

    def _send_forever(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < WAITING and not self._waiting.empty():
                batch.append(self._waiting.get())
            try:
                if settings.REDIS_URL:
                    _publish(dict.fromkeys(batch))
                else:
                    _store(batch)
            except Exception as error:  # of any kind: the next sending may succeed
                self.pause(error)
            time.sleep(TOGETHER)


def _publish(batch: Iterable[Any]) -> None:
    with client().pipeline(transaction=False) as pipe:
        for one in batch:
            match one:
                case _Change(session, task):
                    pipe.publish(key("changes", session), json.dumps({"task": str(task)}))
                case _NewChunk(session, chunk):
                    text = json.dumps({**asdict(chunk), "task": str(chunk.task)})
                    pipe.rpush(key("chunks", chunk.task), text)
                    pipe.expire(key("chunks", chunk.task), KEPT)
                    pipe.publish(key("changes", session), text)
                case _Discarded(task, _):
                    pipe.delete(key("chunks", task))
        pipe.execute()


def _store(batch: list[Any]) -> None:
    """Store chunks in the database, for web processes that poll it."""
    try:
        Chunk.objects.bulk_create(
            Chunk(
                task_id=one.chunk.task,
                message_id=one.chunk.message_id,
                position=one.chunk.position,
                text=one.chunk.text,
                kind=one.chunk.kind,
            )
            for one in batch
            if isinstance(one, _NewChunk)
        )
        for one in batch:
            if isinstance(one, _Discarded):
                Chunk.objects.filter(task_id=one.task, message_id=one.message_id).delete()
    finally:
        connections.close_all()


_senders: dict[int, Sender] = {}  # by process: a fork has no threads of its parent
_guard = threading.Lock()


def _sender() -> Sender:
    pid = os.getpid()
    if pid not in _senders:
        with _guard:
            if pid not in _senders:
                _senders[pid] = Sender()
    return _senders[pid]
