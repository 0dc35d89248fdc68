"""Totals of tasks and sessions: exact while they are few, and else kept by the sweeper, so that nobody counts a table.

What is kept holds at one moment. What has ended or was created since is added from an index; what was deleted since is
still included until the sweeper counts again.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from agents.models import FINAL, UNFINISHED, Chore, Measure, Session, Task
from core.db import leases
from core.text import canonical

EXACT = 10_000  # rows up to which a total is counted at once
EVERY = 600.0  # seconds between two counts of everything
SETTLED = 60.0  # seconds after which the transactions that began at a moment have surely ended
CHORE = "totals"
NAME = "agentsite_kept_total"  # of the measures; their label is a status, SESSIONS or MOMENT
SESSIONS, MOMENT = "sessions", "moment"


def tasks_by_status() -> dict[str, int]:
    """Return the number of tasks in each status that has any."""
    unfinished = Task.objects.filter(status__in=UNFINISHED).order_by().values_list("status")
    counts = dict(unfinished.annotate(count=Count("*")))
    for status in FINAL:
        counts[status.value] = _total(status.value, Task.objects.filter(status=status), "updated_at")
    return {status: count for status, count in counts.items() if count}


def sessions() -> int:
    """Return the number of sessions."""
    return _total(SESSIONS, Session.objects.all(), "created_at")


def keep() -> None:
    """Count everything, if there is much and it was not counted for a while."""
    if not any(_has_many(rows) for rows, _ in _counted().values()):
        return
    Chore.objects.get_or_create(name=CHORE)
    if not leases.take(Chore.objects.filter(name=CHORE), "due_at", EVERY):
        return
    moment = timezone.now() - timedelta(seconds=SETTLED)
    found = {label: rows.filter(**{f"{time}__lte": moment}).count() for label, (rows, time) in _counted().items()}
    with transaction.atomic():  # the totals belong to their moment
        for label, value in {**found, MOMENT: moment.timestamp()}.items():
            Measure.objects.update_or_create(name=NAME, labels=_written(label), defaults={"value": value})


def _counted() -> dict[str, tuple[QuerySet[Any], str]]:
    """Return what is counted by its label, with the column of the time since when it counts."""
    found: dict[str, tuple[QuerySet[Any], str]] = {
        status.value: (Task.objects.filter(status=status), "updated_at") for status in FINAL
    }
    return {**found, SESSIONS: (Session.objects.all(), "created_at")}


def _has_many(rows: QuerySet[Any]) -> bool:
    return rows.order_by()[EXACT:].exists()


def _total(label: str, rows: QuerySet[Any], time: str) -> int:
    some = int(rows.order_by()[: EXACT + 1].count())
    if some <= EXACT:
        return some
    kept = dict(
        Measure.objects.filter(name=NAME, labels__in=(_written(label), _written(MOMENT))).values_list("labels", "value")
    )
    if len(kept) < 2:
        return int(rows.count())  # no sweeper has counted yet
    moment = datetime.fromtimestamp(kept[_written(MOMENT)], UTC)
    return int(kept[_written(label)]) + int(rows.filter(**{f"{time}__gt": moment}).count())


def _written(label: str) -> str:
    return canonical([label])  # as all measures are
