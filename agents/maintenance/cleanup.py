"""What one worker clears away once a day.

In a thread of its own: the heart renews leases meanwhile, however long it takes. It works in batches and keeps the
chore only from one to the next, so that a worker that dies in it leaves the rest to another one.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.conf import settings
from django.db import connections, reset_queries
from django.utils.module_loading import import_string
from django_celery_results.models import TaskResult

from agents.maintenance import duties, retention
from agents.models import Chore
from agents.policy import DAY
from core.db import leases
from core.models import ApiKey

logger = logging.getLogger(__name__)

CHORE = "housekeeping"
HELD = 600.0  # seconds that a batch may take before another worker takes over
PAUSE = 0.05  # seconds between two batches, in which those who wait for SQLite's write lock get it


def claim() -> bool:
    """Whether the housekeeping is due and this worker has it from now on."""
    Chore.objects.get_or_create(name=CHORE)
    return leases.take(Chore.objects.filter(name=CHORE), "due_at", HELD)


def run(stop: threading.Event) -> None:
    """Do it and give the thread's connections back. The caller has claimed it."""
    try:
        keep_house(stop)
    except Exception as error:  # the database may be away; another worker goes on when HELD is over
        logger.warning("housekeeping: %s", error)
    finally:
        connections.close_all()


def keep_house(stop: threading.Event) -> Counter[str]:
    """Do all of it, or as much as there is time for until the event. Returns how many rows each duty deleted."""
    done: Counter[str] = Counter()
    for name, duty in duties.all_of(DUTIES, settings.HOUSEKEEPING_DUTIES):
        try:
            for count in duty():
                done[name] += count
                _hold(HELD)
                reset_queries()  # with DEBUG Django remembers them
                if stop.wait(PAUSE):
                    return done
        except Exception:  # what one duty stumbles over must not keep the others from being done
            logger.exception("the housekeeping's duty %s failed", name)
    _hold(DAY)
    logger.info("housekeeping: %s", ", ".join(f"{name} {count}" for name, count in done.items() if count) or "nothing")
    return done


def old_sessions() -> Iterator[int]:
    """Sessions that nothing has changed in for SESSION_RETENTION_DAYS."""
    if settings.SESSION_RETENTION_DAYS:
        before = retention.ago(timedelta(days=settings.SESSION_RETENTION_DAYS))
        yield from retention.delete_sessions(retention.Old(before))


def used_up_idempotency_keys() -> Iterator[int]:
    """`Idempotency-Key`s whose day is over."""
    yield from retention.delete_rows(retention.idempotency_keys())


def failed_jobs() -> Iterator[int]:
    """Celery's results, of which only those of failed jobs are kept, after JOB_RETENTION_DAYS."""
    if settings.JOB_RETENTION_DAYS:
        expired = TaskResult.objects.get_all_expired(timedelta(days=settings.JOB_RETENTION_DAYS))
        yield from retention.delete_rows(expired)


def dead_api_keys() -> Iterator[int]:
    """API keys that were revoked or expired KEY_RETENTION_DAYS ago."""
    ApiKey.objects.note_revoked()
    if settings.KEY_RETENTION_DAYS:
        before = retention.ago(timedelta(days=settings.KEY_RETENTION_DAYS))
        yield from retention.delete_rows(ApiKey.objects.dead(before))


def expired_logins() -> Iterator[int]:
    """The admin's login sessions, as `manage.py clearsessions` does it, which does not say how many."""
    import_string(f"{settings.SESSION_ENGINE}.SessionStore").clear_expired()
    yield 0


def orphaned_checkpoints() -> Iterator[int]:
    """Threads that no task has."""
    yield from retention.delete_orphaned_checkpoints()


DUTIES: tuple[Callable[[], Iterator[int]], ...] = (
    old_sessions,
    used_up_idempotency_keys,
    failed_jobs,
    dead_api_keys,
    expired_logins,
    orphaned_checkpoints,
)


def _hold(seconds: float) -> None:
    leases.renew(Chore.objects.filter(name=CHORE), "due_at", seconds)
