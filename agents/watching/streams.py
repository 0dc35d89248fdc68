"""Server-sent events of a task, or of all tasks of a session, as one client sees them."""

import json
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder

from agents.models import FINAL, Event, Session, Task
from agents.state import events
from agents.watching.hub import Watcher, hub, unfinished_chunks
from agents.watching.publisher import TextChunk

PAGE = 200  # events read at once
RETRY = 1000  # milliseconds that a browser waits before it connects again
LIMIT = 100  # tasks of a session that are read at once
LATE = 100  # messages whose chunks may still come after the finished message

Allowed = Callable[[], Awaitable[bool]]


class InvalidCursor(ValueError):
    """The cursor is none that a stream has sent."""


def sse(name: str, data: dict[str, Any], id_: str = "") -> bytes:
    """Return one server-sent event."""
    text = json.dumps(data, cls=DjangoJSONEncoder)
    return f"{f'id: {id_}' + chr(10) if id_ else ''}event: {name}\ndata: {text}\n\n".encode()


@dataclass
class Page:
    """The next events of a view, as they are sent."""

    sent: list[bytes] = field(default_factory=list)
    end: str | None = None  # the status in which all has ended
    events: list[Event] = field(default_factory=list)
    has_more: bool = False  # whether to read on at once


@dataclass
class TaskView:
    """A task's events after a point. The cursor is the newest event's `seq`."""

    session: uuid.UUID
    task: uuid.UUID
    seen: int = 0
    names: dict[uuid.UUID, str] = field(default_factory=dict)  # the client's ids of the tasks that are seen

    @classmethod
    def after(cls, task: Task, cursor: str) -> "TaskView":
        """Begin after this cursor. Raises InvalidCursor."""
        return cls(task.session_id, task.pk, _number(cursor or "0"))

    def read(self) -> Page:
        """Return the next events, and how the task has ended once all are read."""
        task = Task.objects.filter(pk=self.task).only("task_id", "status", "last_seq").first()
        if task is None:
            return Page([], "not_found")
        self.names[task.pk] = task.task_id
        new = events.after(self.task, self.seen, PAGE) if task.last_seq > self.seen else []
        if new:
            self.seen = new[-1].seq
        is_over = task.status in FINAL and self.seen >= task.last_seq
        sent = [_framed(str(one.seq), task, one) for one in new]
        return Page(sent, str(task.status) if is_over else None, new, bool(new))


@dataclass
class SessionView:
    """The events of a session's tasks. The cursor says how far each task that has not ended was read.

    Its form is `7.12-8.1`: of the task at position 7 up to event 12, of 8 up to 1, and all of those before 7.
    """

    session: uuid.UUID
    first: int  # the earliest position that may have more events
    seen: dict[int, int] = field(default_factory=dict)  # by position
    names: dict[uuid.UUID, str] = field(default_factory=dict)

    @classmethod
    def after(cls, session: uuid.UUID, cursor: str) -> "SessionView":
        """Begin after this cursor, or at the first event of the tasks that have not ended. Raises InvalidCursor."""
        if cursor:
            parts = [part.partition(".") for part in cursor.split("-")]
            seen = {_number(position): _number(seq) for position, _, seq in parts}
            return cls(session, min(seen), seen)
        tasks = Task.objects.filter(session=session)
        active = tasks.exclude(status__in=FINAL).order_by("position").values_list("position", flat=True).first()
        newest = tasks.order_by("-position").values_list("position", flat=True).first()
        return cls(session, active if active is not None else (newest or 0) + 1)

    def read(self) -> Page:
        """Return the next events. A session has no end, unless it is deleted."""
        rows = Task.objects.filter(session=self.session, position__gte=self.first).order_by("position")
        page, low, last = Page(), None, self.first - 1
        for task in rows.only("task_id", "status", "last_seq", "position")[:LIMIT]:
            self.names[task.pk], last = task.task_id, task.position
            seen = self.seen.get(task.position, 0)
            for one in events.after(task.pk, seen, PAGE - len(page.events)) if task.last_seq > seen else ():
                self.seen[task.position] = seen = one.seq
                page.events.append(one)
                page.sent.append(_framed(self._cursor(), task, one))
            if low is None and not (task.status in FINAL and seen >= task.last_seq):
                low = task.position
            if len(page.events) >= PAGE:
                break
        page.has_more = bool(page.events) or (low is None and last >= self.first)
        self.first = last + 1 if low is None else low
        self.seen = {position: seq for position, seq in self.seen.items() if position >= self.first}
        while len(self.names) > 2 * LIMIT:
            self.names.pop(next(iter(self.names)))  # of a task that has ended long ago
        if not page.has_more and not Session.objects.filter(pk=self.session).exists():
            page.end = "not_found"
        return page

    def _cursor(self) -> str:
        seen = {self.first: 0, **self.seen}
        return "-".join(f"{position}.{seq}" for position, seq in sorted(seen.items()))


async def stream(view: TaskView | SessionView, allowed: Allowed) -> AsyncGenerator[bytes, None]:
    """Yield what happens, as it happens, until the task has ended or the caller may not see it any more.

    Args:
        allowed: whether the caller still may.
    """
    centre = hub()
    watcher = Watcher(view.session)
    centre.add(watcher)
    try:
        yield f"retry: {RETRY}\n\n".encode()
        texts = _SentText()
        beat = time.monotonic() + settings.STREAM_HEARTBEAT_SECONDS
        is_new, may_have_more = True, True
        while True:
            while may_have_more:
                page = await centre.read(view.read)
                texts.finish(page.events)
                for sent in page.sent:
                    yield sent
                if page.end is not None:
                    yield sse("end", {"status": page.end})
                    return
                may_have_more = page.has_more
            chunks = watcher.take_chunks()
            if is_new:
                is_new = False
                chunks = [*await centre.read(unfinished_chunks, list(view.names)), *chunks]
            for chunk in chunks:
                if chunk.task in view.names and (new := texts.unsent(chunk)):
                    yield sse("chunk", {"task_id": view.names[chunk.task], **new})
            if time.monotonic() >= beat:
                beat = time.monotonic() + settings.STREAM_HEARTBEAT_SECONDS
                if not await allowed():
                    return
                yield b": \n\n"
            may_have_more = await watcher.wait(max(0.0, beat - time.monotonic()))
    finally:
        centre.remove(watcher)


class _SentText:
    """Lengths of what the client has of unfinished messages."""

    def __init__(self) -> None:
        self._length: dict[tuple[str, str], int] = {}  # by message and kind of text
        self._finished: deque[str] = deque(maxlen=LATE)  # ids of the messages that were sent whole last

    def finish(self, events: Iterable[Event]) -> None:
        """Send no more chunks of messages that are sent whole."""
        new = [str(one.data.get("id")) for one in events if one.kind == Event.Kind.MESSAGE]
        self._finished.extend(new)
        for key in [key for key in self._length if key[0] in new]:
            del self._length[key]

    def unsent(self, chunk: TextChunk) -> dict[str, Any] | None:
        """Return what is new of this chunk, or None. A chunk behind a gap is left out: the finished message has it."""
        key = (chunk.message_id, chunk.kind)
        known = self._length.get(key, 0)
        end = chunk.position + len(chunk.text)
        if chunk.message_id in self._finished or chunk.position > known or end <= known:
            return None
        self._length[key] = end
        return {
            "message_id": chunk.message_id,
            "position": known,
            "text": chunk.text[known - chunk.position :],
            "kind": chunk.kind,
        }


def _framed(cursor: str, task: Task, event: Event) -> bytes:
    data = {"task_id": task.task_id, "seq": event.seq, "at": event.at, "kind": event.kind, "data": event.data}
    return sse(event.kind, data, cursor)


def _number(text: str) -> int:
    with suppress(ValueError):
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return int(text)
    raise InvalidCursor
