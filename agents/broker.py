"""Publishing of jobs by name, so that the web process never imports LangChain."""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path

from celery import current_app

logger = logging.getLogger(__name__)

# Names on the wire, the same in every release; the jobs are in agents.worker.jobs. By name, because the web process
# must not import them.
RUN = "agents.jobs.run"
REMEMBER = "agents.jobs.remember"

SWEPT = "the sweeper will try again"  # what follows when a job is not taken
QUICK = 0.5  # seconds; a failure that takes less may be tried again
SLOW = 1.0  # seconds; a failure that takes longer delays the request noticeably
PAUSE = 5.0  # seconds without another try after such a failure, so that the next requests are not delayed too

_deaf_until: dict[str, float] = {}  # by the broker's URL, as monotonic time
_is_silent: ContextVar[bool] = ContextVar("agentsite_queue_is_silent", default=False)
_failures: ContextVar[list[Exception] | None] = ContextVar("agentsite_queue_failures", default=None)


@contextmanager
def silence() -> Iterator[None]:
    """Publish no jobs inside the block, for callers that claim and run the tasks themselves."""
    reset = _is_silent.set(True)
    try:
        yield
    finally:
        _is_silent.reset(reset)


@contextmanager
def giving_up() -> Iterator[None]:
    """Stop publishing inside the block after the first failure: a dead broker would cost its timeout for each job."""
    reset = _failures.set([])
    try:
        yield
    finally:
        _failures.reset(reset)


def is_taking() -> bool:
    """Return whether no call of the broker has failed since `giving_up` began."""
    return not _failures.get()


def publish(task_pk: uuid.UUID) -> bool:
    """Publish the job that runs this task. Never raises; returns False if the broker does not take the job."""
    return _send(RUN, str(task_pk), about=f"task {task_pk}", then=SWEPT)


def remember_later(task_pk: uuid.UUID) -> None:
    """Publish the job that derives memories from this completed task. Like `publish`, never raises."""
    _send(REMEMBER, str(task_pk), about=f"memory of task {task_pk}", then="nothing is remembered of it")


def waiting() -> int | None:
    """Return how many jobs, deliveries included, wait in the broker. Never raises; returns None if unknown."""
    connection = current_app.connection_for_write()
    try:
        with connection, connection.channel() as channel:
            # Declared just as by workers: a passive declare in kombu's Redis transport ignores the key prefix.
            queue = current_app.amqp.queues[current_app.conf.task_default_queue]
            settings = {"durable": queue.durable, "auto_delete": queue.auto_delete, "arguments": queue.queue_arguments}
            return int(channel.queue_declare(queue.name, **settings).message_count)
    except Exception as error:
        logger.warning("the broker does not say how many jobs wait (%s)", error)
        if isinstance(error, connection.connection_errors):  # otherwise it refuses the question, but may take jobs
            _note(error)
        return None


def nudge(name: str) -> None:
    """Publish the job of this name, which finds out for itself what is due. Like `publish`, never raises."""
    _send(name, about=name, then=SWEPT)


def _send(name: str, *args: str, about: str, then: str) -> bool:
    if _is_silent.get():
        return True
    broker, started = str(current_app.conf.broker_url), time.monotonic()
    if not is_taking() or started < _deaf_until.get(broker, 0.0):
        return False
    try:
        _send_at_once(name, args)
    except Exception as error:  # kombu passes on each transport's own exceptions
        logger.warning("%s: the broker takes no job now, %s (%s)", about, then, error)
        _note(error)
        if time.monotonic() - started > SLOW:
            _deaf_until[broker] = time.monotonic() + PAUSE
        return False
    return True


def _send_at_once(name: str, args: tuple[str, ...]) -> None:
    """Send the job. To RabbitMQ a second time if the first try fails quickly.

    Its client, unlike that of Redis, does not replace a connection that died while it was idle.
    """
    started = time.monotonic()
    try:
        current_app.send_task(name, args=args, retry=False)
    except Exception:
        if time.monotonic() - started > QUICK or not str(current_app.conf.broker_url).startswith("amqp"):
            raise
        current_app.send_task(name, args=args, retry=False)


def _note(failure: Exception) -> None:
    if (failures := _failures.get()) is not None:
        failures.append(failure)


def clear(folder: str, older_than: timedelta) -> int:
    """Delete delivered messages older than this that the filesystem broker left in the folder. Returns how many."""
    limit = time.time() - older_than.total_seconds()
    old = [path for path in Path(folder).glob("*.msg") if path.stat().st_mtime < limit]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
