"""Several threads at once, and workers that have died."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connection

from agents.maintenance import sweeper
from agents.models import Attempt

T = TypeVar("T")


def in_threads(count: int, job: Callable[[int], Any]) -> list[Any]:
    """Run the job so many times at once; what each gave or raised."""
    results: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def one(number: int) -> None:
        barrier.wait()
        try:
            results[number] = job(number)
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    started = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return results


def in_a_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives, in a loop of its own: playwright leaves one running in the thread of the tests."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def lapse_all() -> None:
    """The lease of every dead worker runs out and the sweeper comes by."""
    Attempt.objects.filter(ended_at=None).update(lease_until="2020-01-01T00:00:00Z")
    sweeper.lapse_leases()
