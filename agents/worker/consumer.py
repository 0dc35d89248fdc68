"""How a worker listens to the broker."""

import logging
import math
import time
import warnings
from functools import partial
from typing import Any

from celery.exceptions import CPendingDeprecationWarning, WorkerLostError
from celery.worker import consumer
from redis.exceptions import RedisError
from typing_extensions import override

from agents.observability import metrics
from agents.worker import listening

logger = logging.getLogger(__name__)
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)  # at each loss of the connection, a page long

PAUSE = 1.0  # seconds between two tries where the broker answers, but refuses
# Celery publishes its event heartbeat in the loop that takes jobs, and retries there without logging: while the broker
# refuses, and for up to half a minute afterwards, no job is taken. `WorkerProcess` rows show which workers are alive.
WITHOUT_EVENTS = {"without_heartbeat": True, "without_gossip": True, "without_mingle": True}
STEADY = 2.0  # seconds without an error after which a loop listens: BRPOP is answered after one


class Consumer(consumer.Consumer):
    """Celery's own, which comes back soon after an outage of the broker, and outlives whatever the broker answers.

    A replica, a full or a locked Redis refuses a command, and a message may be nothing that Celery knows. None of it
    is a reason to end the worker, and the runs in it.
    """

    def __init__(self, *args: Any, worker_options: Any = None, **kwargs: Any) -> None:
        self._steady_at = math.inf  # on the monotonic clock
        super().__init__(*args, worker_options={**(worker_options or {}), **WITHOUT_EVENTS}, **kwargs)
        self.channel_errors = (Exception,)

    def ensure_connected(self, conn: Any) -> Any:
        """Try again after pauses that grow by 0.2 s up to 1 s; Celery's own grow by 2 s up to 30 s."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=0.2, interval_step=0.2, interval_max=1)
        return super().ensure_connected(conn)

    @override
    def on_connection_error_before_connected(self, exc: Exception) -> None:
        super().on_connection_error_before_connected(exc)
        self._pause_after(exc)

    @override
    def on_connection_error_after_connected(self, exc: Exception) -> None:
        super().on_connection_error_after_connected(exc)
        self._pause_after(exc)

    def _pause_after(self, exc: Exception) -> None:
        """Have it known, and leave a broker that refuses alone for a moment. Raises what no second try can mend."""
        self._steady_at = math.inf
        if isinstance(exc, WorkerLostError):  # the pool's processes don't start
            raise exc
        metrics.count(metrics.BROKER_ERRORS, type(exc).__name__)
        told = isinstance(exc, (RedisError, OSError))
        logger.warning("no jobs are taken now, the broker is tried again: %s", exc, exc_info=None if told else exc)
        if not isinstance(exc, self.connection_errors):
            time.sleep(PAUSE)

    def on_ready(self) -> None:
        """Called by Celery at the beginning of each loop."""
        super().on_ready()
        self._steady_at = time.monotonic() + STEADY

    def register_with_event_loop(self, hub: Any) -> None:
        """Called by Celery where the transport has an event loop."""
        super().register_with_event_loop(hub)
        hub.on_tick.add(self._note)

    def perform_pending_operations(self) -> None:
        """Called by Celery in each cycle of the loop where the transport has no event loop."""
        super().perform_pending_operations()
        self._note()

    def _note(self) -> None:
        if time.monotonic() > self._steady_at:
            listening.note()
