"""Publishing of jobs by their names, so that the web process never imports LangChain."""

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

RUN = "agents.jobs.run"
REMEMBER = "agents.jobs.remember"

SLOW = 1.0  # seconds after which a failure has cost a request time
PAUSE = 5.0  # seconds after such a failure in which this process does not try again: its next requests don't wait too

_deaf_until: dict[str, float] = {}  # by the broker's URL, on the monotonic clock
_is_silent: ContextVar[bool] = ContextVar("agentsite_queue_is_silent", default=False)
_failures: ContextVar[list[Exception] | None] = ContextVar("agentsite_queue_failures", default=None)


@contextmanager
def silence() -> Iterator[None]:
    """Publish nothing meanwhile: whoever asks for it claims and runs the tasks itself."""
    reset = _is_silent.set(True)
    try:
        yield
    finally:
        _is_silent.reset(reset)


@contextmanager
def giving_up() -> Iterator[None]:
    """Ask a broker that has not taken a job no more meanwhile: a deaf one would cost its time-out for each."""
    reset = _failures.set([])
    try:
        yield
    finally:
        _failures.reset(reset)


def is_taking() -> bool:
    """False once the broker has not taken a job since `giving_up` began."""
    return not _failures.get()


def publish(task_pk: uuid.UUID) -> bool:
    """Wake a worker up for this task. Never raises: False where the broker does not take the job."""
    return _send(RUN, str(task_pk), about=f"task {task_pk}")


def remember_later(task_pk: uuid.UUID) -> bool:
    """Wake a worker up to keep what this completed task is worth remembering for. Never raises, as `publish`."""
    return _send(REMEMBER, str(task_pk), about=f"memory of task {task_pk}")


def waiting() -> int | None:
    """How many jobs the broker holds that no worker has taken yet, notices too. Never raises: None where unknown."""
    connection = current_app.connection_for_write()
    try:
        with connection, connection.channel() as channel:
            # Declared as its workers do: asked passively, kombu's Redis does not look below its own key prefix.
            declared = channel.queue_declare(current_app.conf.task_default_queue, durable=True, auto_delete=False)
            return int(declared.message_count)
    except Exception as error:
        logger.warning("the broker does not say how many jobs wait (%s)", error)
        if isinstance(error, connection.connection_errors):  # else it does not let us ask, and may take jobs
            _note(error)
        return None


def nudge(name: str) -> None:
    """Wake a worker up for the job of this name, which finds out for itself what is due. Never raises, as `publish`."""
    _send(name, about=name)


def _send(name: str, *args: str, about: str) -> bool:
    if _is_silent.get():
        return True
    broker, started = str(current_app.conf.broker_url), time.monotonic()
    if not is_taking() or started < _deaf_until.get(broker, 0.0):
        return False
    try:
        current_app.send_task(name, args=args, retry=False)
    except Exception as error:  # kombu lets each transport's own exceptions through
        logger.warning("%s: the broker takes no job now, the sweeper will try again (%s)", about, error)
        _note(error)
        if time.monotonic() - started > SLOW:
            _deaf_until[broker] = time.monotonic() + PAUSE
        return False
    return True


def _note(failure: Exception) -> None:
    if (failures := _failures.get()) is not None:
        failures.append(failure)


def clear(folder: str, older_than: timedelta) -> int:
    """Delete the delivered messages that the filesystem broker leaves in this folder. Returns how many."""
    limit = time.time() - older_than.total_seconds()
    old = [path for path in Path(folder).glob("*.msg") if path.stat().st_mtime < limit]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
