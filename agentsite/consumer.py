"""How a worker listens to the broker."""

from functools import partial
from typing import Any

from celery.worker import consumer


class Consumer(consumer.Consumer):
    """Celery's own, which comes back soon after an outage of the broker."""

    def ensure_connected(self, conn: Any) -> Any:
        """Source: Celery's Consumer, whose pauses between two tries grow by 2 s up to 30 s. Here by 0.2 s up to 1 s."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=0.2, interval_step=0.2, interval_max=1)
        return super().ensure_connected(conn)
