"""A thread that has finished a job wakes the worker's event loop, which takes the next job."""

import threading
from typing import Any

import pytest
from kombu.asynchronous import Hub

from agents.worker.pool import TaskPool


@pytest.fixture
def pool() -> Any:
    made = TaskPool(1, putlocks=False)
    made.on_start()
    yield made
    made.executor.shutdown()


def run(pool: TaskPool, job: Any) -> Any:
    """Hand a job to the pool as Celery does."""
    return pool.on_apply(job, (), {}, None, None)


def test_who_waits_is_called_once_a_job_is_over(pool: TaskPool) -> None:
    freed, go_on = threading.Semaphore(0), threading.Event()
    pool.freed = freed.release
    run(pool, go_on.wait)
    assert not freed.acquire(timeout=0.05), "the thread is still busy"
    go_on.set()
    assert freed.acquire(timeout=10)


def test_a_job_that_fails_frees_its_thread_as_well(pool: TaskPool) -> None:
    freed = threading.Semaphore(0)
    pool.freed = freed.release

    def fail() -> None:
        raise ValueError

    run(pool, fail)
    assert freed.acquire(timeout=10)


def test_it_wakes_an_event_loop_that_sleeps(pool: TaskPool) -> None:
    hub, awake = Hub(), threading.Event()
    hub.call_later(3600, lambda: None)  # nothing else would wake it
    pool.freed = lambda: hub.call_soon(awake.set)

    def loop() -> None:
        while not awake.is_set():
            hub.run_once()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    run(pool, lambda: None)
    assert awake.wait(timeout=10)
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_without_an_event_loop_nobody_is_called(pool: TaskPool) -> None:
    result = run(pool, lambda: 42)
    result.wait(timeout=10)
    assert pool.freed is None
