"""Housekeeping, which one worker does once a day.

It runs in its own thread, so that the heart renews leases however long it takes. It works in batches and holds the
chore only from one batch to the next, so that another worker continues if this one dies.
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

from agents.maintenance import duties, retention, usage
from agents.models import Chore
from agents.policy import DAY
from core.db import leases
from core.models import ApiKey

logger = logging.getLogger(__name__)

CHORE = "housekeeping"
HELD = 600.0  # seconds that a batch may take before another worker takes over
PAUSE = 0.05  # seconds between two batches, so that others can get SQLite's write lock


def claim() -> bool:
    """Claim the housekeeping. Returns whether it was due and this worker now has it."""
    Chore.objects.get_or_create(name=CHORE)
    return leases.take(Chore.objects.filter(name=CHORE), "due_at", HELD)


def run(stop: threading.Event) -> None:
    """Do the housekeeping, which the caller has claimed, and close the thread's connections."""
    try:
        keep_house(stop)
    except Exception as error:  # the database may be away; another worker continues after HELD
        logger.warning("housekeeping: %s", error)
    finally:
        connections.close_all()


def keep_house(stop: threading.Event) -> Counter[str]:
    """Do all duties, or as many as possible until the event is set. Returns how many rows each duty deleted."""
    done: Counter[str] = Counter()
    for name, duty in duties.all_of(DUTIES, settings.HOUSEKEEPING_DUTIES):
        try:
            for count in duty():
                done[name] += count
                _hold(HELD)
                reset_queries()  # with DEBUG, Django keeps them
                if stop.wait(PAUSE):
                    return done
        except Exception:  # the failure of one duty must not stop the others
            logger.exception("the housekeeping's duty %s failed", name)
    _hold(DAY)
    logger.info("housekeeping: %s", ", ".join(f"{name} {count}" for name, count in done.items() if count) or "nothing")
    return done


def old_sessions() -> Iterator[int]:
    """Delete sessions unchanged for SESSION_RETENTION_DAYS, except those with an unfinished task."""
    if settings.SESSION_RETENTION_DAYS:
        before = retention.ago(timedelta(days=settings.SESSION_RETENTION_DAYS))
        yield from retention.delete_sessions(retention.Old(before))


def used_up_idempotency_keys() -> Iterator[int]:
    """Delete `Idempotency-Key`s that are older than a day."""
    yield from retention.delete_rows(retention.idempotency_keys())


def failed_jobs() -> Iterator[int]:
    """Delete Celery's results, which are kept only for failed jobs, after JOB_RETENTION_DAYS."""
    if settings.JOB_RETENTION_DAYS:
        expired = TaskResult.objects.get_all_expired(timedelta(days=settings.JOB_RETENTION_DAYS))
        yield from retention.delete_rows(expired)


def dead_api_keys() -> Iterator[int]:
    """Delete API keys that were revoked or expired KEY_RETENTION_DAYS ago."""
    ApiKey.objects.note_revoked()
    if settings.KEY_RETENTION_DAYS:
        before = retention.ago(timedelta(days=settings.KEY_RETENTION_DAYS))
        yield from retention.delete_rows(ApiKey.objects.dead(before))


def expired_logins() -> Iterator[int]:
    """Delete expired login sessions of the admin, as `manage.py clearsessions` does. Yields 0: no count is known."""
    import_string(f"{settings.SESSION_ENGINE}.SessionStore").clear_expired()
    yield 0


def orphaned_checkpoints() -> Iterator[int]:
    """Delete checkpoint threads without a task."""
    yield from retention.delete_orphaned_checkpoints()


DUTIES: tuple[Callable[[], Iterator[int]], ...] = (
    old_sessions,
    used_up_idempotency_keys,
    failed_jobs,
    dead_api_keys,
    expired_logins,
    usage.old_model_calls,
    orphaned_checkpoints,
)


def _hold(seconds: float) -> None:
    leases.renew(Chore.objects.filter(name=CHORE), "due_at", seconds)
