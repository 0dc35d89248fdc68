"""News for the web processes: that a task has new events, and the pieces of a message that a model is writing.

News are hints, as jobs are: a watcher also looks by itself, so losing some costs time only. A thread sends them, so
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

TOGETHER = 0.03  # seconds for which what comes is sent together
PAUSE = 5.0  # seconds without another try after Redis has failed
TIMEOUT = 1.0  # seconds to connect, and to wait for a response
KEPT = 120  # seconds for which Redis keeps the pieces of an unfinished message after the newest one
WAITING = 10_000  # what may wait to be sent; more is dropped


@dataclass(frozen=True)
class Piece:
    """A piece of a message's text, or of the reasoning before it."""

    task: uuid.UUID
    message_id: str
    position: int  # of its first character
    text: str
    kind: str = "text"


@dataclass(frozen=True)
class _Announcement:
    session: uuid.UUID
    task: uuid.UUID


@dataclass(frozen=True)
class _Written:
    session: uuid.UUID
    piece: Piece


@dataclass(frozen=True)
class _Over:
    task: uuid.UUID
    message_id: str


def announce(session: uuid.UUID, task: uuid.UUID) -> None:
    """Tell the web processes that the task has new events. Without Redis, they find out by themselves."""
    if settings.REDIS_URL:
        _sender().put(_Announcement(session, task))


def write(session: uuid.UUID, piece: Piece) -> None:
    """Send a piece of a message to those who watch the session."""
    _sender().put(_Written(session, piece))


def finish(task: uuid.UUID, message_id: str) -> None:
    """Forget the pieces of a message that is finished or given up."""
    _sender().put(_Over(task, message_id))


def is_watched(session: uuid.UUID) -> bool:
    """Return whether somebody watches the session. Never raises; False while Redis is away."""
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
    """Thread that sends what the process has to tell."""

    def __init__(self) -> None:
        self.away_until = 0.0  # monotonic time
        self._waiting: queue.Queue[Any] = queue.Queue(WAITING)
        threading.Thread(target=self._send_for_ever, name="news", daemon=True).start()

    def put(self, news: Any) -> None:
        """Send this soon. Drops it if too much is waiting, or Redis is away."""
        if time.monotonic() >= self.away_until:
            try:
                self._waiting.put_nowait(news)
            except queue.Full:
                logger.debug("too much news, some are dropped")

    def pause(self, error: Exception) -> None:
        """Send nothing for PAUSE seconds, because this went wrong."""
        self.away_until = time.monotonic() + PAUSE
        logger.warning("news for watchers are not sent for %g s (%s)", PAUSE, error)

    def _send_for_ever(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < WAITING and not self._waiting.empty():
                batch.append(self._waiting.get())
            try:
                if settings.REDIS_URL:
                    _publish(dict.fromkeys(batch))
                else:
                    _store(batch)
            except Exception as error:  # whatever it is, this thread goes on
                self.pause(error)
            time.sleep(TOGETHER)


def _publish(batch: Iterable[Any]) -> None:
    with client().pipeline(transaction=False) as pipe:
        for one in batch:
            match one:
                case _Announcement(session, task):
                    pipe.publish(key("news", session), json.dumps({"task": str(task)}))
                case _Written(session, piece):
                    text = json.dumps({**asdict(piece), "task": str(piece.task)})
                    pipe.rpush(key("pieces", piece.task), text)
                    pipe.expire(key("pieces", piece.task), KEPT)
                    pipe.publish(key("news", session), text)
                case _Over(task, _):
                    pipe.delete(key("pieces", task))
        pipe.execute()


def _store(batch: list[Any]) -> None:
    """Store pieces in the database, for web processes that poll it."""
    try:
        Chunk.objects.bulk_create(
            Chunk(
                task_id=one.piece.task,
                message_id=one.piece.message_id,
                position=one.piece.position,
                text=one.piece.text,
                kind=one.piece.kind,
            )
            for one in batch
            if isinstance(one, _Written)
        )
        for one in batch:
            if isinstance(one, _Over):
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
