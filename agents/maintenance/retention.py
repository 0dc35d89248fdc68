"""What is old enough to go. Everything here works in batches: a transaction each, few rows in memory, never in the way.

Each function yields how many rows a batch has deleted. The caller may stop between two batches: the next run goes on.
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
    """Sessions whose last change (of the newest task, or the session's making) lies before a moment.

    Never one with a task that is queued, pending or running; one that waits for a person only where that is asked for.
    """

    before: datetime
    user_id: str = ""  # "": of any user
    status: str = ""  # "": any; `idle`: nothing waits for a person; else that of the newest task
    include_interrupted: bool = False

    def sessions(self) -> QuerySet[Session]:
        """The rows."""
        keeping = [status for status in (*ACTIVE, Status.QUEUED) if not self._may_go(status)]
        tasks = Task.objects.filter(session=OuterRef("pk"))
        # A task changes after its session was made: the first condition has an index, the second needs no aggregate.
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
    """The moment so long ago, by this machine's clock: where days count it is as good as the database's."""
    return timezone.now() - age


def delete_sessions(old: Old, size: int = SESSIONS) -> Iterator[int]:
    """Delete them, the oldest first, `size` in one transaction."""
    after: tuple[datetime, uuid.UUID] | None = None
    while True:
        rows = old.sessions()
        if after is not None:  # those before it have gone, or changed since and stay
            made, pk = after
            rows = rows.filter(Q(created_at__gt=made) | Q(pk__gt=pk), created_at__gte=made)
        page = list(rows.order_by("created_at", "pk").values_list("created_at", "pk")[:size])
        if not page:
            return
        after = page[-1]
        yield services.delete_sessions([pk for _, pk in page], old.sessions())


def idempotency_keys() -> QuerySet[IdempotencyKey]:
    """Those whose day is over: they make no repetition known any more."""
    return IdempotencyKey.objects.filter(created_at__lt=ago(timedelta(seconds=DAY)))


def delete_rows(rows: QuerySet[Any]) -> Iterator[int]:
    """Delete these rows, which nothing refers to."""
    while pks := list(rows.values_list("pk", flat=True)[:ROWS]):
        rows.filter(pk__in=pks).delete()
        yield len(pks)


def delete_orphaned_checkpoints() -> Iterator[int]:
    """Delete the threads that no task has: what was restored from a backup, or lost its task by hand."""
    for found in tables.orphans():
        tables.delete(found)
        yield len(found)
