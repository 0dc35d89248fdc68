"""Watchers of a chaos run: each task's stream is read to its end, over connections that break again and again."""

import asyncio
import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from typing_extensions import override

from agents.models import Status, Task
from agents.watching.streams import TaskView, stream
from benchmarks.harness.story import persistent
from core.db.connections import AWAY

EVERY = 0.2  # seconds between two looks for new tasks
AGAIN = 0.2  # seconds until the next connection after a failure


@dataclass
class Watched:
    """What the stream of one task has sent."""

    events: list[dict[str, Any]] = field(default_factory=list)
    end: str = ""
    breaks: int = 0


class Watchers(threading.Thread):
    """Thread that watches every task."""

    def __init__(self, seed: int, is_over: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self.chance, self.is_over = random.Random(seed), is_over
        self.watched: dict[uuid.UUID, Watched] = {}

    @override
    def run(self) -> None:
        asyncio.run(self._watch_all())

    async def _watch_all(self) -> None:
        following: set[asyncio.Task[None]] = set()
        while not self.is_over() or any(not one.end for one in self.watched.values()):
            for pk, session in await asyncio.to_thread(persistent, _tasks):
                if pk not in self.watched:
                    self.watched[pk] = Watched()
                    following.add(asyncio.create_task(self._follow(pk, session)))
            await asyncio.sleep(EVERY)

    async def _follow(self, pk: uuid.UUID, session: uuid.UUID) -> None:
        watched = self.watched[pk]
        while not watched.end:
            try:
                await self._connect(watched, pk, session)
            except AWAY:
                await asyncio.sleep(AGAIN)
            watched.breaks += 1

    async def _connect(self, watched: Watched, pk: uuid.UUID, session: uuid.UUID) -> None:
        """Read a few events, then break off."""
        last = watched.events[-1]["seq"] if watched.events else 0
        most, until = self.chance.randrange(1, 8), time.monotonic() + self.chance.uniform(0.2, 8)
        async with aclosing(stream(TaskView(session, pk, last), _may)) as parts:
            async for part in parts:
                name, _, text = part.decode().partition("event: ")[2].partition("\ndata: ")
                if name == "end":
                    watched.end = json.loads(text)["status"]
                elif name and name != "chunk":
                    watched.events.append(json.loads(text))
                    most -= 1
                if watched.end or most <= 0 or time.monotonic() > until:
                    return

    def faults(self) -> list[str]:
        """Return what is wrong with what was sent."""
        found = []
        for task in Task.objects.all():
            watched = self.watched.get(task.pk, Watched())
            seqs = [one["seq"] for one in watched.events]
            if seqs != list(range(1, task.last_seq + 1)):
                found.append(f"task {task.pk}: events {seqs} were sent of {task.last_seq}")
            sent = [one["data"] for one in watched.events if one["kind"] == "message"]
            if task.status == Status.COMPLETED and sent != (task.result or {}).get("messages"):
                found.append(f"task {task.pk}: its messages are not those of its result")
            if watched.end != task.status:
                found.append(f"task {task.pk}: is {task.status}, its stream ended with {watched.end!r}")
        return found

    def line(self) -> str:
        """Return how much was sent."""
        found = self.watched.values()
        times, sent = sum(one.breaks for one in found), sum(len(one.events) for one in found)
        return f"{len(found)} streams, {times} connections, {sent} events"


async def _may() -> bool:
    return True


def _tasks() -> list[tuple[uuid.UUID, uuid.UUID]]:
    try:
        return list(Task.objects.values_list("pk", "session_id"))
    finally:
        connections.close_all()
