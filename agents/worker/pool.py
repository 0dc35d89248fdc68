"""Celery's thread pool, which also says when a thread has become free."""

from collections.abc import Callable
from typing import Any

from celery.concurrency import thread
from typing_extensions import override


class TaskPool(thread.TaskPool):
    """Thread pool that calls `freed` from the thread that has just finished a job.

    While all threads are busy, Celery takes no jobs from the broker. Its event loop would notice a free thread only at
    its next tick, up to a second later.
    """

    freed: Callable[[], Any] | None = None

    @override
    def on_apply(self, *args: Any, **kwargs: Any) -> Any:
        result = super().on_apply(*args, **kwargs)
        if self.freed is not None:
            freed = self.freed
            result.f.add_done_callback(lambda future: freed())
        return result
