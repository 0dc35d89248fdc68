"""Deletion of old rows in batches: one transaction each, with few rows in memory, so that nothing has to wait for long.

Each function that deletes yields how many rows a batch has deleted. The caller may stop between two batches; the next
run continues.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from agents import services
from agents.checkpoints import tables
from agents.models import ACTIVE, FINAL, IdempotencyKey, Session, Status, Task
from agents.policy import DAY

IDLE = "idle"
STATUSES = (IDLE, Status.INTERRUPTED.value, *(status.value for status in FINAL))
SESSIONS = services.DELETED_AT_ONCE  # in one transaction
ROWS = 2_000  # of a table without anything below it


@dataclass(frozen=True)
class Old:
    """Filter for sessions whose last change (of a task, or the session's creation) is before a given time.

    Never matches a session with a queued, pending or running task; one that waits for a person only if asked for.
    """

    before: datetime
    user_id: str = ""  # "": of any user
    status: str = ""  # "": any; `idle`: nothing waits for a person; else that of the newest task
    include_interrupted: bool = False

    def sessions(self) -> QuerySet[Session]:
        """Return the matching sessions."""
        keeping = [status for status in (*ACTIVE, Status.QUEUED) if not self._may_go(status)]
        tasks = Task.objects.filter(session=OuterRef("pk"))
        # A task changes after its session was created, so `created_at`, which has an index, limits the rows first.
        rows = Session.objects.filter(
            ~Exists(tasks.filter(Q(updated_at__gte=self.before) | Q(status__in=keeping))), created_at__lt=self.before
        )
        if self.user_id:
            rows = rows.filter(user_id=self.user_id)
        if self.status and self.status != IDLE:
            newest = tasks.order_by("-position").values("status")[:1]
            rows = rows.alias(newest=Subquery(newest)).filter(newest=self.status)
        return rows

    def _may_go(self, status: Status) -> bool:
        return status == Status.INTERRUPTED and self.include_interrupted and self.status != IDLE


def ago(age: timedelta) -> datetime:
    """Return the time this long ago. This machine's clock is accurate enough, because the periods are days."""
    return timezone.now() - age


def delete_sessions(old: Old, size: int = SESSIONS) -> Iterator[int]:
    """Delete the matching sessions, oldest first, `size` in one transaction."""
    after: tuple[datetime, uuid.UUID] | None = None
    while True:
        rows = old.sessions()
        if after is not None:  # earlier ones are deleted, or have changed since and stay
            made, pk = after
            rows = rows.filter(Q(created_at__gt=made) | Q(pk__gt=pk), created_at__gte=made)
        page = list(rows.order_by("created_at", "pk").values_list("created_at", "pk")[:size])
        if not page:
            return
        after = page[-1]
        yield services.delete_sessions([pk for _, pk in page], old.sessions())


def idempotency_keys() -> QuerySet[IdempotencyKey]:
    """Return the keys older than a day, which no longer identify a repeated submission."""
    return IdempotencyKey.objects.filter(created_at__lt=ago(timedelta(seconds=DAY)))


def delete_rows(rows: QuerySet[Any]) -> Iterator[int]:
    """Delete these rows, which nothing refers to."""
    while pks := list(rows.values_list("pk", flat=True)[:ROWS]):
        rows.filter(pk__in=pks).delete()
        yield len(pks)


def delete_orphaned_checkpoints() -> Iterator[int]:
    """Delete checkpoint threads without a task, left by a restored backup or by manual changes."""
    for found in tables.orphans():
        tables.delete(found)
        yield len(found)
