"""Thread of a web process that wakes the watchers of sessions in which something has happened.

With Redis it listens to the channels of the watched sessions; without it, it polls the database several times a second.
It polls in any case now and then, because messages of Redis may get lost.
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
from agents.watching import publisher
from agents.watching.publisher import TextChunk
from core.db.clock import seconds_from_now

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL = 0.1  # seconds between two polls without Redis
POLL_WITH_REDIS = 5.0  # seconds between two polls with it
MARKED = 15  # seconds for which a session counts as watched after the last renewal
RENEW = 5.0  # seconds between two renewals
AGAIN = 1.0  # seconds until the next try after a failure
PENDING = 1_000  # chunks that may wait for one watcher; older ones are dropped, as the finished message follows
READERS = 4  # threads that read the database for all watchers of this process
AT_ONCE = 500  # sessions in one query


class Watcher:
    """One client that watches a session, or a task of it. It lives in an event loop of any thread."""

    def __init__(self, session: uuid.UUID) -> None:
        self.session = session
        self.chunks: deque[TextChunk] = deque(maxlen=PENDING)
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._has_changed_events = True

    def wake(self, chunk: TextChunk | None = None) -> None:
        """Wake the watcher for new events, or for this chunk of a message. From any thread."""
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._note, chunk)

    def _note(self, chunk: TextChunk | None) -> None:
        if chunk is None:
            self._has_changed_events = True
        else:
            self.chunks.append(chunk)
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until something has happened, at most so long. Returns whether there may be new events."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # not `wait_for`, which can swallow a cancellation in Python 3.11
                await self._woken.wait()
        self._woken.clear()
        had, self._has_changed_events = self._has_changed_events, False
        return had

    def take_chunks(self) -> list[TextChunk]:
        """Remove and return the chunks that have come."""
        chunks = list(self.chunks)
        self.chunks.clear()
        return chunks


class Hub:
    """Thread with an event loop, and the watchers of this process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="watching")
        self._watchers: dict[uuid.UUID, set[Watcher]] = {}
        self._guard = threading.Lock()
        self._seen: dict[uuid.UUID, int] = {}  # by session: the number of its events at the last poll
        self._rechecked: dict[str, tuple[float, Any]] = {}  # by credential: the time and the answer
        # Set when the set of sessions has changed: one for those who mark them, one for those who listen.
        self._marks_due, self._channels_due = asyncio.Event(), asyncio.Event()
        threading.Thread(target=self._run, name="hub", daemon=True).start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        duties = [self._poll_forever, self._renew_marks_forever]
        for duty in [*duties, self._listen_forever] if settings.REDIS_URL else duties:
            self.loop.create_task(duty())
        self.loop.run_forever()

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the hub's own loop."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def add(self, watcher: Watcher) -> None:
        """Wake this watcher from now on."""
        with self._guard:
            self._watchers.setdefault(watcher.session, set()).add(watcher)
        self._note_change()

    def remove(self, watcher: Watcher) -> None:
        """Wake this watcher no more."""
        with self._guard:
            rest = self._watchers.get(watcher.session, set())
            rest.discard(watcher)
            if not rest:
                self._watchers.pop(watcher.session, None)
                self._seen.pop(watcher.session, None)
        self._note_change()

    def _note_change(self) -> None:
        for event in (self._marks_due, self._channels_due):
            self.loop.call_soon_threadsafe(event.set)

    def count(self) -> int:
        """Return the number of watchers."""
        with self._guard:
            return sum(map(len, self._watchers.values()))

    async def read(self, query: Callable[..., T], *values: Any) -> T:
        """Return what a function reads from the database, in a thread of the hub's."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _closing, query, *values)

    async def recheck(self, credential: str, ask: Callable[[], T]) -> T:
        """Return the answer of a function about a credential, which may be STALENESS_SECONDS old."""
        oldest = time.monotonic() - settings.STALENESS_SECONDS
        self._rechecked = {name: one for name, one in self._rechecked.items() if one[0] > oldest}
        if credential not in self._rechecked:
            self._rechecked[credential] = (time.monotonic(), await self.read(ask))
        found: T = self._rechecked[credential][1]
        return found

    def _sessions(self) -> list[uuid.UUID]:
        with self._guard:
            return list(self._watchers)

    def _wake(self, session: uuid.UUID, chunk: TextChunk | None = None) -> None:
        with self._guard:
            watchers = list(self._watchers.get(session, ()))
        for watcher in watchers:
            watcher.wake(chunk)

    async def _poll_forever(self) -> None:
        pause = POLL_WITH_REDIS if settings.REDIS_URL else POLL
        while True:
            await asyncio.sleep(pause)
            if not (sessions := self._sessions()):
                continue
            try:
                counts, chunks = await self.read(_poll, sessions)
            except Exception as error:  # of any kind: the next poll may succeed
                logger.warning("can't poll the events of watched sessions: %s", error)
                await asyncio.sleep(AGAIN)
                continue
            for session in sessions:
                count = counts.get(session, 0)  # 0, too, if it was deleted, perhaps before the first poll
                if self._seen.get(session) != count:
                    self._seen[session] = count
                    self._wake(session)
            for session, chunk in chunks:
                self._wake(session, chunk)

    async def _renew_marks_forever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW):
                    await self._marks_due.wait()
            self._marks_due.clear()
            try:
                if sessions := self._sessions():
                    await self.read(_renew_marks, sessions)
            except Exception as error:  # as above
                logger.warning("can't mark the watched sessions: %s", error)
                await asyncio.sleep(AGAIN)

    async def _listen_forever(self) -> None:
        while True:
            client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=publisher.TIMEOUT)
            try:
                await self._listen(client.pubsub())
            except (RedisError, OSError) as error:
                logger.warning("can't listen to Redis for watched sessions: %s", error)
            finally:
                with suppress(RedisError, OSError):
                    await client.aclose()
            await asyncio.sleep(AGAIN)

    async def _listen(self, channels: Any) -> None:
        """Wake watchers on messages of Redis. Raises RedisError and OSError."""
        async with channels:
            await channels.subscribe(f"{settings.REDIS_PREFIX}changes")  # a connection without a channel can't be read
            following = asyncio.create_task(self._follow(channels))
            try:
                while True:
                    message = await channels.get_message(ignore_subscribe_messages=True, timeout=POLL_WITH_REDIS)
                    if message is not None:
                        self._on_message(message)
                    if following.done():
                        following.result()
            finally:
                following.cancel()

    async def _follow(self, channels: Any) -> None:
        """Subscribe to the channels of the sessions that are watched, and only to those."""
        subscribed: set[uuid.UUID] = set()
        while True:
            wanted = set(self._sessions())
            if new := wanted - subscribed:
                await channels.subscribe(*(publisher.key("changes", session) for session in new))
            if gone := subscribed - wanted:
                await channels.unsubscribe(*(publisher.key("changes", session) for session in gone))
            for session in new:
                self._wake(session)  # something may have happened before
            subscribed = wanted
            await self._channels_due.wait()
            self._channels_due.clear()

    def _on_message(self, message: dict[str, Any]) -> None:
        try:
            session = uuid.UUID(message["channel"].decode().rpartition(":")[2])
            data = json.loads(message["data"])
            chunk = _chunk_of(data) if "text" in data else None
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("a message of Redis can't be read: %s", error)
        else:
            self._wake(session, chunk)


def _closing(query: Callable[..., T], *values: Any) -> T:
    try:
        return query(*values)
    finally:
        if connection.vendor == "sqlite":  # to open the file again takes longer than most queries
            close_old_connections()
        else:
            connections.close_all()  # back to the pool, where the service has one


def _poll(sessions: list[uuid.UUID]) -> tuple[dict[uuid.UUID, int], list[tuple[uuid.UUID, TextChunk]]]:
    """Return the number of events by session, and the chunks of messages where they are in the database."""
    counts: dict[uuid.UUID, int] = {}
    for start in range(0, len(sessions), AT_ONCE):
        tasks = Task.objects.filter(session__in=sessions[start : start + AT_ONCE]).order_by()
        counts.update(tasks.values_list("session").annotate(count=Sum("last_seq")))
    if settings.REDIS_URL:
        return counts, []
    writing = Task.objects.filter(pk__in=Chunk.objects.values("task_id"), session__in=sessions)
    owners = dict(writing.values_list("pk", "session_id"))
    return counts, [(owners[chunk.task], chunk) for chunk in unfinished_chunks(owners)]


def unfinished_chunks(tasks: Iterable[uuid.UUID]) -> list[TextChunk]:
    """Return the chunks of these tasks' unfinished messages, in order."""
    if settings.REDIS_URL:
        try:
            with publisher.client().pipeline(transaction=False) as pipe:
                for task in tasks:
                    pipe.lrange(publisher.key("chunks", task), 0, -1)
                kept = pipe.execute()
        except RedisError:
            return []
        return [_chunk_of(json.loads(text)) for texts in kept for text in texts]
    rows = Chunk.objects.filter(task_id__in=tasks).order_by("message_id", "kind", "position")
    return [TextChunk(row.task_id, row.message_id, row.position, row.text, row.kind) for row in rows]


def _chunk_of(data: dict[str, Any]) -> TextChunk:
    return TextChunk(**{**data, "task": uuid.UUID(data["task"])})


def _renew_marks(sessions: list[uuid.UUID]) -> None:
    """Mark these sessions as watched, so that workers publish chunks for them."""
    if settings.REDIS_URL:
        with publisher.client().pipeline(transaction=False) as pipe:
            for session in sessions:
                pipe.set(publisher.key("watched", session), 1, ex=MARKED)
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
