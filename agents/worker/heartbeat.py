"""Threads of a worker process: one renews the leases of the attempts that run here, the others do the chores.

Each has its own thread, because a chore may wait for a lock or take minutes, and no lease may expire in that time.
"""

import logging
import mmap
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connection, connections
from django.db.models import QuerySet
from django.db.models.expressions import Combinable

from agents import pause_file, pauses
from agents.maintenance import cleanup, sweeper
from agents.models import Attempt, Task, WorkerProcess
from agents.observability import metrics
from agents.runtime.history import conversation
from agents.worker import listening
from core.db import leases
from core.db.clock import Now, seconds_from_now
from core.db.connections import patience

logger = logging.getLogger(__name__)

TICK = 0.5  # seconds; the longest time until a prefork child notices that its worker drains
WATCH = 0.5  # seconds between two checks of the pauses, and of the attempts that run here
# Seconds for which a statement waits for PostgreSQL's answer (core/db/postgresql/answers.py).
SOON = 5.0  # for a heartbeat; longer if heartbeats are further apart
SWEEP = 60.0
CHORE = 3600.0  # for the daily chores, which delete a lot
RETRY = 0.25  # share of the time between two heartbeats to wait after a failure
_drained = mmap.mmap(-1, 1)  # one byte that the parent process shares with the children it forks


class Heart:
    """Attempts of this process, and the threads that renew their leases and do the chores."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.draining = False
        self._running: dict[uuid.UUID, threading.Event] = {}
        self._dropped: set[uuid.UUID] = set()  # attempts that have ended here, which their rows do not show
        self._due = 0.0  # monotonic time of the next heartbeat
        self._lock = threading.Lock()
        self._quit = threading.Event()
        self._away = False  # whether the database was unreachable at the last try
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Start each thread that is not running, including threads that have died."""
        with self._lock:
            loops = (self._beat_for_ever, self._watch_for_ever, self._sweep_for_ever, self._keep_house_for_ever)
            for name, loop in zip(("heartbeat", "watcher", "sweeper", "housekeeper"), loops, strict=True):
                thread = self._threads.get(name)
                if thread is None or not thread.is_alive():
                    self._threads[name] = threading.Thread(target=loop, name=name, daemon=True)
                    self._threads[name].start()

    def stop(self) -> None:
        """Stop the threads and wait for them."""
        self._quit.set()
        for thread in self._threads.values():
            thread.join(timeout=10)

    def drain(self) -> None:
        """Stop every run in this process and its children at its next step boundary, and start no more."""
        _drained[0] = 1
        with self._lock:
            self.draining = True
            for stop in self._running.values():
                stop.set()

    @contextmanager
    def keeping(self, attempt: Attempt) -> Iterator[threading.Event]:
        """Renew this attempt's lease inside the block. The event is set when the run must stop."""
        self.start()
        stop = threading.Event()
        with self._lock:
            self._running[attempt.pk] = stop
            if self.draining:
                stop.set()
        try:
            yield stop
        finally:
            with self._lock:
                self._running.pop(attempt.pk, None)

    def drop(self, attempt: Attempt) -> None:
        """Expire this attempt's lease at the next heartbeat. Used if the database was unreachable as the run ended."""
        with self._lock:
            self._dropped.add(attempt.pk)
        self._due = 0.0

    def beat(self) -> None:
        """Record that this process is alive, renew the leases of its runs, expire dropped ones.

        A run whose attempt is over is told to stop.
        """
        with patience(max(SOON, settings.TASK_HEARTBEAT_SECONDS)):
            self._renew()

    def _renew(self) -> None:
        with self._lock:
            running, dropped = dict(self._running), set(self._dropped)
        defaults = {"beat_at": Now(), "listened_at": _listened_at(busy=bool(running))}
        WorkerProcess.objects.update_or_create(name=self.name, defaults=defaults)
        if dropped:
            leases.expire(Attempt.objects.filter(pk__in=dropped, ended_at=None), "lease_until")
            with self._lock:
                self._dropped -= dropped
        if not running:
            return
        rows = _open(running)
        leases.renew(rows, "lease_until", settings.TASK_LEASE_SECONDS)
        for pk in running.keys() - set(rows.values_list("pk", flat=True)):
            running[pk].set()

    def _beat_for_ever(self) -> None:
        while not self._quit.wait(min(TICK, max(0.0, self._due - time.monotonic()))):
            if _drained[0] and not self.draining:
                self.drain()
            if (now := time.monotonic()) >= self._due:
                self._due = now + settings.TASK_HEARTBEAT_SECONDS  # before the beat, so that a drop during it counts
                if not _done(self.beat):
                    self._due = now + settings.TASK_HEARTBEAT_SECONDS * RETRY

    def _watch_for_ever(self) -> None:
        while not self._quit.wait(WATCH):
            _done(self.watch)

    def watch(self) -> None:
        """Read the pause file, and stop the runs of this process that are paused or whose attempt is over.

        They stop at their next step, and wait for no model meanwhile. A run stops before a call of a paused tool on its
        own, because it may call other tools.
        """
        pause_file.heed()
        with self._lock:
            running = dict(self._running)
        if not running:
            return
        tasks = dict(_open(running).values_list("pk", "task_id"))
        held = set(pauses.held(Task.objects.filter(pk__in=tasks.values())).values_list("pk", flat=True))
        for pk, stop in running.items():
            if pk not in tasks or tasks[pk] in held:
                stop.set()

    def _sweep_for_ever(self) -> None:
        # Assumed: a worker that starts together with the database would sweep before the heartbeats of the others.
        self._away = True
        pause = 0.0
        while not self._quit.wait(pause):
            pause = self.sweep()

    def sweep(self) -> float:
        """Do the chores that are due and write the metrics to the database. Returns for how many seconds to pause.

        After an outage, live workers renew their leases before their tasks can be taken away: sweeping waits until the
        database has been back for two of their tries.
        """
        retry = settings.TASK_HEARTBEAT_SECONDS * RETRY
        if self._away:
            self._away = not _done(connection.ensure_connection)
            return retry if self._away else 2 * retry
        with patience(SWEEP):
            self._away = not _done(sweeper.sweep_if_due)
        _done(conversation.keep_due)
        _done(metrics.count_ended)
        _done(metrics.flush)
        return retry if self._away else settings.TASK_SWEEP_SECONDS / 2

    def _keep_house_for_ever(self) -> None:
        while not self._quit.wait(settings.TASK_SWEEP_SECONDS):
            _done(self.keep_house_if_due)

    def keep_house_if_due(self) -> None:
        """Do the housekeeping, unless another worker is doing it or did it today."""
        with patience(CHORE):
            if cleanup.claim():
                cleanup.run(self._quit)


def _open(attempts: Collection[uuid.UUID]) -> QuerySet[Attempt]:
    """Return those of the attempts that are not over: their tasks were not cancelled, deleted or taken over."""
    return Attempt.objects.filter(pk__in=attempts, ended_at=None)


def _listened_at(*, busy: bool) -> Combinable | None:
    """Return when this worker last listened to the broker, by the database's clock, or None if it never has.

    A busy solo worker counts as listening, because it cannot listen while it does a job.
    """
    if busy and settings.CELERY_WORKER_POOL == "solo":
        return seconds_from_now(0)
    silent = listening.seconds_since()
    return None if silent is None else seconds_from_now(-silent)


def _done(duty: Callable[[], Any]) -> bool:
    """Do the duty and return whether it succeeded.

    No exception ends the thread: the database may be unreachable for a while.
    """
    try:
        try:
            duty()
        finally:
            # Hold no connection while the thread sleeps, and reuse no broken one.
            connections.close_all()
    except Exception as error:
        logger.warning("%s: %s", duty.__name__, error)
        return False
    return True


_heart: Heart | None = None
_made = threading.Lock()


def heart() -> Heart:
    """Return the heart of this process. A forked child gets its own."""
    global _heart
    with _made:
        if _heart is None or not _heart.name.endswith(f":{os.getpid()}"):
            _heart = Heart()
        return _heart
