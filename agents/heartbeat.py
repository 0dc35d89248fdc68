"""One thread a worker process: it renews the leases of the attempts that run here, and does the periodic chores."""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connections

from agents import sweeper
from agents.models import Attempt, WorkerProcess
from agentsite.core.clock import Now, seconds_from_now

logger = logging.getLogger(__name__)


class Heart:
    """The attempts of this process and the thread that keeps them alive."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.draining = False
        self._running: dict[uuid.UUID, threading.Event] = {}
        self._lock = threading.Lock()
        self._quit = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._quit.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def drain(self) -> None:
        """Let every run here stop at its next step boundary, and start no more."""
        with self._lock:
            self.draining = True
            for stop in self._running.values():
                stop.set()

    @contextmanager
    def keeping(self, attempt: Attempt) -> Iterator[threading.Event]:
        """Renew this attempt's lease meanwhile. The event is set when the run has to stop."""
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

    def beat(self) -> None:
        """Renew the leases and stop the runs whose attempt is over."""
        with self._lock:
            running = dict(self._running)
        WorkerProcess.objects.update_or_create(name=self.name, defaults={"beat_at": Now()})
        if not running:
            return
        rows = Attempt.objects.filter(pk__in=running, ended_at=None)
        rows.update(lease_until=seconds_from_now(settings.TASK_LEASE_SECONDS))
        for pk in running.keys() - set(rows.values_list("pk", flat=True)):
            running[pk].set()

    def _beat_for_ever(self) -> None:
        while not self._quit.is_set():
            for duty in (self.beat, sweeper.sweep_if_due):
                try:
                    duty()
                except Exception as error:  # the database may be away; the next beat tries again
                    logger.warning("%s: %s", duty.__name__, error)
            # A connection is not held while we sleep, nor one that broke used again.
            connections.close_all()
            self._quit.wait(min(settings.TASK_HEARTBEAT_SECONDS, settings.TASK_SWEEP_SECONDS))


_heart: Heart | None = None
_made = threading.Lock()


def heart() -> Heart:
    """This process's heart; a forked child gets its own."""
    global _heart
    with _made:
        if _heart is None or not _heart.name.endswith(f":{os.getpid()}"):
            _heart = Heart()
        return _heart
