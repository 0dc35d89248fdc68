"""Celery consumer that survives outages and errors of the broker."""

import logging
import math
import time
import warnings
from functools import partial
from typing import Any

from amqp.exceptions import AMQPError
from celery.exceptions import CPendingDeprecationWarning, WorkerLostError
from celery.worker import consumer
from redis.exceptions import RedisError
from typing_extensions import override

from agents.observability import metrics
from agents.worker import listening
from agents.worker.pool import TaskPool

logger = logging.getLogger(__name__)
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)  # a page of text at each loss of the connection

PAUSE = 1.0  # seconds between two tries if the broker answers, but refuses
# Celery publishes its event heartbeat in the loop that takes jobs, and retries there without logging: while the broker
# refuses, and for up to half a minute afterwards, no job is taken. `WorkerProcess` rows show which workers are alive.
WITHOUT_EVENTS = {"without_heartbeat": True, "without_gossip": True, "without_mingle": True}
STEADY = 2.0  # seconds without an error after which a loop counts as listening; BRPOP returns after one


class Consumer(consumer.Consumer):
    """Celery's consumer, except that it reconnects soon after an outage and survives any error of the broker.

    A replica, or a full or locked Redis, refuses commands, and a message may be one that Celery does not know. That is
    no reason to end the worker and its runs.
    """

    class Blueprint(consumer.Consumer.Blueprint):
        """Parts of Celery's consumer but one: for a quorum queue it declares 28 more for jobs with a delay."""

        default_steps = [step for step in consumer.Consumer.Blueprint.default_steps if "delayed_delivery" not in step]

    def __init__(self, *args: Any, worker_options: Any = None, **kwargs: Any) -> None:
        self._steady_at = math.inf  # on the monotonic clock
        super().__init__(*args, worker_options={**(worker_options or {}), **WITHOUT_EVENTS}, **kwargs)
        if self.conninfo.transport.driver_type == "amqp":
            # Messages that RabbitMQ may send ahead. A job is acknowledged as it starts, so this does not limit how many
            # run, but how many a busy worker keeps from free ones. 0 would be no limit.
            self.initial_prefetch_count = 1
        self.channel_errors = (Exception,)

    def ensure_connected(self, conn: Any) -> Any:
        """Retry after delays that grow by 0.2 s up to 1 s. Celery's own grow by 2 s up to 30 s."""
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
        """Count and log the error, and wait a moment if the broker refuses. Raises errors that no retry can fix."""
        self._steady_at = math.inf
        if isinstance(exc, WorkerLostError):  # the pool's processes don't start
            raise exc
        metrics.count(metrics.BROKER_ERRORS, type(exc).__name__)
        told = isinstance(exc, (RedisError, AMQPError, OSError))
        logger.warning("no jobs are taken now, the broker is tried again: %s", exc, exc_info=None if told else exc)
        if not isinstance(exc, self.connection_errors):
            time.sleep(PAUSE)

    def on_ready(self) -> None:
        """Start counting as listening after STEADY seconds. Celery calls this at the beginning of each loop."""
        super().on_ready()
        self._steady_at = time.monotonic() + STEADY

    def register_with_event_loop(self, hub: Any) -> None:
        """Note in each tick that the worker listens, and let a free thread wake the loop, which then takes a job.

        Celery calls this if the transport has an event loop.
        """
        super().register_with_event_loop(hub)
        hub.on_tick.add(self._note)
        if isinstance(self.pool, TaskPool):
            self.pool.freed = partial(hub.call_soon, self._note)

    def perform_pending_operations(self) -> None:
        """Note that the worker listens. Celery calls this in each cycle if the transport has no event loop."""
        super().perform_pending_operations()
        self._note()

    def _note(self) -> None:
        if time.monotonic() > self._steady_at:
            listening.note()
