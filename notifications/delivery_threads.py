"""Threads of a worker process that deliver, so that a hanging receiver delays neither a run nor the sweeper."""

import logging
import os
import threading
import time

from django.db import connections

from notifications import delivery

logger = logging.getLogger(__name__)

THREADS = 4  # at most, per process; each serves one lane at a time
REST = 10.0  # seconds before a lane is served again after a failed try


class Couriers:
    """Threads that start when something is due and end when nothing is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._quit = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._busy: set[int] = set()
        self._rests: dict[int, float] = {}  # lane: until when
        self._calls = 0

    def wake(self) -> None:
        """Start the delivery of what is due. Returns at once."""
        with self._lock:
            self._calls += 1
            if len(self._threads) < THREADS and not self._quit.is_set():
                thread = threading.Thread(target=self._work, name="courier")
                self._threads.add(thread)
                thread.start()

    def stop(self) -> None:
        """Begin no further tries. Those under way still finish."""
        self._quit.set()

    def wait(self, seconds: float) -> None:
        """Wait up to `seconds` for each running thread to end."""
        for thread in tuple(self._threads):
            thread.join(seconds)

    def _work(self) -> None:
        try:
            while not self._quit.is_set():
                calls = self._calls
                lane = self._take(delivery.lanes())
                if lane is not None:
                    self._serve(lane)
                elif self._leave(calls):
                    return
        except Exception as error:  # the database may be away; the next sweep starts another thread
            logger.warning("notices: %s", error)
        finally:
            connections.close_all()
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _serve(self, lane: int) -> None:
        done = False
        try:
            self.wake()  # another thread for the other lanes, if there are any
            done = delivery.serve(lane, self._quit.is_set)
        finally:
            with self._lock:
                self._busy.discard(lane)
                if not done:
                    self._rests[lane] = time.monotonic() + REST

    def _take(self, lanes: list[int]) -> int | None:
        with self._lock:
            now = time.monotonic()
            self._rests = {lane: until for lane, until in self._rests.items() if until > now}
            lane = next((one for one in lanes if one not in self._busy and one not in self._rests), None)
            if lane is not None:
                self._busy.add(lane)
            return lane

    def _leave(self, calls: int) -> bool:
        """Deregister this thread and return True, unless `wake` was called since `calls` was read.

        In that case the thread has to look again: deliveries that are due since then would wait for the sweeper.
        """
        with self._lock:
            if self._calls != calls:
                return False
            self._threads.discard(threading.current_thread())
            return True


_couriers = Couriers()


def _forget_parents() -> None:
    global _couriers
    _couriers = Couriers()  # a fork copies no threads


os.register_at_fork(after_in_child=_forget_parents)


def deliver_notices() -> int:
    """Start the delivery of what is due (the sweeper calls this). Returns how many deliveries are due."""
    waiting = delivery.due().count()
    if waiting:
        _couriers.wake()
    return waiting


def stop() -> None:
    """Begin no further tries, because the worker shuts down."""
    _couriers.stop()
