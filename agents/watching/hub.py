"""The one thread of a web process that finds out what happens in the sessions that its clients watch.

Where there is a Redis, it listens there; else it looks into the database several times a second. It looks in any case
now and then, because news may get lost.
"""

import asyncio
import json
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import redis.asyncio
from django.conf import settings
from django.db import close_old_connections, connection, connections
from django.db.models import Sum
from redis.exceptions import RedisError

from agents.models import Chunk, Task, Watch
from agents.watching import news
from agents.watching.news import Piece
from core.db.clock import seconds_from_now

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL = 0.1  # seconds between two looks where there is no Redis
LOOK = 5.0  # seconds between two looks where there is one
MARKED = 15  # seconds for which a session counts as watched after the last renewal
RENEW = 5.0  # seconds between two renewals
AGAIN = 1.0  # seconds until the next try after a failure
PENDING = 1_000  # pieces that may wait for one watcher; older ones are dropped, as the finished message follows
READERS = 4  # threads that read the database for all watchers of this process
AT_ONCE = 500  # sessions in one query


class Watcher:
    """One client that watches a session, or a task of it. It lives in an event loop of any thread."""

    def __init__(self, session: uuid.UUID) -> None:
        self.session = session
        self.pieces: deque[Piece] = deque(maxlen=PENDING)
        self._loop = asyncio.get_running_loop()
        self._called = asyncio.Event()
        self._has_news = True

    def call(self, piece: Piece | None = None) -> None:
        """Wake the watcher for new events, or for this piece of a message. From any thread."""
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._note, piece)

    def _note(self, piece: Piece | None) -> None:
        if piece is None:
            self._has_news = True
        else:
            self.pieces.append(piece)
        self._called.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until something has happened, at most so long. Returns whether there may be new events."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # not `wait_for`, which can swallow a cancellation in Python 3.11
                await self._called.wait()
        self._called.clear()
        had, self._has_news = self._has_news, False
        return had

    def taken(self) -> list[Piece]:
        """Return the pieces that have come, once."""
        pieces = list(self.pieces)
        self.pieces.clear()
        return pieces


class Hub:
    """Thread with an event loop, and the watchers of this process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="watching")
        self._watchers: dict[uuid.UUID, set[Watcher]] = {}
        self._guard = threading.Lock()
        self._seen: dict[uuid.UUID, int] = {}  # by session: the number of its events at the last look
        self._said: dict[str, tuple[float, Any]] = {}  # by credential: when and what
        # Set when the set of sessions has changed: one for those who mark them, one for those who listen.
        self._to_mark, self._to_hear = asyncio.Event(), asyncio.Event()
        threading.Thread(target=self._run, name="hub", daemon=True).start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        for duty in (
            self._look_for_ever,
            self._renew_for_ever,
            *([self._listen_for_ever] if settings.REDIS_URL else []),
        ):
            self.loop.create_task(duty())
        self.loop.run_forever()

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the hub's own loop."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def add(self, watcher: Watcher) -> None:
        """Tell this watcher what happens from now on."""
        with self._guard:
            self._watchers.setdefault(watcher.session, set()).add(watcher)
        self._note_change()

    def remove(self, watcher: Watcher) -> None:
        """Forget this watcher."""
        with self._guard:
            rest = self._watchers.get(watcher.session, set())
            rest.discard(watcher)
            if not rest:
                self._watchers.pop(watcher.session, None)
                self._seen.pop(watcher.session, None)
        self._note_change()

    def _note_change(self) -> None:
        for event in (self._to_mark, self._to_hear):
            self.loop.call_soon_threadsafe(event.set)

    def count(self) -> int:
        """Return the number of watchers."""
        with self._guard:
            return sum(map(len, self._watchers.values()))

    async def read(self, query: Callable[..., T], *values: Any) -> T:
        """Return what a function reads from the database, in a thread of the hub's."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _closing, query, *values)

    async def still(self, credential: str, ask: Callable[[], T]) -> T:
        """Return what a function says of a credential, or what it said of it within STALENESS_SECONDS."""
        now = time.monotonic()
        if credential not in self._said or self._said[credential][0] < now - settings.STALENESS_SECONDS:
            said = await self.read(ask)
            self._said = {name: one for name, one in self._said.items() if one[0] > now - settings.STALENESS_SECONDS}
            self._said[credential] = (now, said)
        found: T = self._said[credential][1]
        return found

    def _sessions(self) -> list[uuid.UUID]:
        with self._guard:
            return list(self._watchers)

    def _call(self, session: uuid.UUID, piece: Piece | None = None) -> None:
        with self._guard:
            called = list(self._watchers.get(session, ()))
        for watcher in called:
            watcher.call(piece)

    async def _look_for_ever(self) -> None:
        pause = LOOK if settings.REDIS_URL else POLL
        while True:
            await asyncio.sleep(pause)
            if not (sessions := self._sessions()):
                continue
            try:
                counts, pieces = await self.read(_look, sessions)
            except Exception as error:  # whatever it is, the watchers go on
                logger.warning("can't look for news of watched tasks: %s", error)
                await asyncio.sleep(AGAIN)
                continue
            for session in sessions:
                count = counts.get(session, 0)  # 0, too, if it was deleted, perhaps before the first look at it
                if self._seen.get(session) != count:
                    self._seen[session] = count
                    self._call(session)
            for session, piece in pieces:
                self._call(session, piece)

    async def _renew_for_ever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW):
                    await self._to_mark.wait()
            self._to_mark.clear()
            try:
                if sessions := self._sessions():
                    await self.read(_mark, sessions)
            except Exception as error:  # as above
                logger.warning("can't say which sessions are watched: %s", error)
                await asyncio.sleep(AGAIN)

    async def _listen_for_ever(self) -> None:
        while True:
            client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=news.TIMEOUT)
            try:
                await self._listen(client.pubsub())
            except (RedisError, OSError) as error:
                logger.warning("can't listen for news of watched tasks: %s", error)
            finally:
                with suppress(RedisError, OSError):
                    await client.aclose()
            await asyncio.sleep(AGAIN)

    async def _listen(self, channels: Any) -> None:
        """Call watchers when Redis says so. Raises RedisError and OSError."""
        async with channels:
            await channels.subscribe(f"{settings.REDIS_PREFIX}news")  # a connection without a channel can't be read
            following = asyncio.create_task(self._follow(channels))
            try:
                while True:
                    message = await channels.get_message(ignore_subscribe_messages=True, timeout=LOOK)
                    if message is not None:
                        self._heard(message)
                    if following.done():
                        following.result()
            finally:
                following.cancel()

    async def _follow(self, channels: Any) -> None:
        """Keep the subscriptions those of the watched sessions."""
        subscribed: set[uuid.UUID] = set()
        while True:
            wanted = set(self._sessions())
            if new := wanted - subscribed:
                await channels.subscribe(*(news.key("news", session) for session in new))
            if gone := subscribed - wanted:
                await channels.unsubscribe(*(news.key("news", session) for session in gone))
            for session in new:
                self._call(session)  # something may have happened before
            subscribed = wanted
            await self._to_hear.wait()
            self._to_hear.clear()

    def _heard(self, message: dict[str, Any]) -> None:
        try:
            session = uuid.UUID(message["channel"].decode().rpartition(":")[2])
            told = json.loads(message["data"])
            piece = Piece(**{**told, "task": uuid.UUID(told["task"])}) if "text" in told else None
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("news that can't be read: %s", error)
        else:
            self._call(session, piece)


def _closing(query: Callable[..., T], *values: Any) -> T:
    try:
        return query(*values)
    finally:
        if connection.vendor == "sqlite":  # to open the file again takes longer than most queries
            close_old_connections()
        else:
            connections.close_all()  # back to the pool, where the service has one


def _look(sessions: list[uuid.UUID]) -> tuple[dict[uuid.UUID, int], list[tuple[uuid.UUID, Piece]]]:
    """Return the number of events by session, and the pieces of messages where they are in the database."""
    counts: dict[uuid.UUID, int] = {}
    for start in range(0, len(sessions), AT_ONCE):
        tasks = Task.objects.filter(session__in=sessions[start : start + AT_ONCE]).order_by()
        counts.update(tasks.values_list("session").annotate(count=Sum("last_seq")))
    if settings.REDIS_URL:
        return counts, []
    writing = Task.objects.filter(pk__in=Chunk.objects.values("task_id"), session__in=sessions)
    owners = dict(writing.values_list("pk", "session_id"))
    return counts, [(owners[piece.task], piece) for piece in written(owners)]


def written(tasks: Iterable[uuid.UUID]) -> list[Piece]:
    """Return the pieces of these tasks' unfinished messages, in order."""
    if settings.REDIS_URL:
        try:
            kept = [news.client().lrange(news.key("pieces", task), 0, -1) for task in tasks]
        except RedisError:
            return []
        found = [json.loads(text) for texts in kept for text in texts]
        return [Piece(**{**one, "task": uuid.UUID(one["task"])}) for one in found]
    rows = Chunk.objects.filter(task_id__in=tasks).order_by("message_id", "kind", "position")
    return [Piece(row.task_id, row.message_id, row.position, row.text, row.kind) for row in rows]


def _mark(sessions: list[uuid.UUID]) -> None:
    """Say that these sessions are watched."""
    if settings.REDIS_URL:
        with news.client().pipeline(transaction=False) as pipe:
            for session in sessions:
                pipe.set(news.key("watched", session), 1, ex=MARKED)
            pipe.execute()
        return
    rows = [Watch(session_id=session, until=seconds_from_now(MARKED)) for session in sessions]
    Watch.objects.bulk_create(rows, update_conflicts=True, update_fields=["until"], unique_fields=["session_id"])


_hubs: dict[int, Hub] = {}  # by process
_made = threading.Lock()


def hub() -> Hub:
    """Return the hub of this process. A forked process gets its own."""
    pid = os.getpid()
    with _made:
        if pid not in _hubs:
            _hubs[pid] = Hub()
        return _hubs[pid]
