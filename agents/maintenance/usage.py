"""Upkeep of model calls: calls without an answer are given up, and the others are summed by day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from agents.maintenance import retention
from agents.models import Chore, ModelCall
from agents.usage import sums
from core.db.clock import Now, seconds_from_now

CHORE = sums.CHORE
EVERY = 300.0  # seconds between two summings
GRACE = 60.0  # seconds beyond the longest time of a request, in which its answer is recorded
WINDOW = timedelta(hours=6)  # after an outage of all workers, there may be more to sum than one transaction should
_SUM = f"""
    INSERT INTO agents_dayusage (day, user_id, agent, model, {", ".join(sums.NAMES)})
    SELECT {{day}}, user_id, agent, model, {", ".join(sums.OF_CALLS.values())}
    FROM agents_modelcall WHERE started_at >= %s AND started_at < %s GROUP BY {{day}}, user_id, agent, model
    ON CONFLICT (user_id, day, agent, model) DO UPDATE SET {sums.ADD}
"""


def longest() -> float:
    """Return the seconds after which a request has surely ended, with its answer recorded if there was one."""
    return float(settings.MODEL_TIMEOUT_SECONDS) + GRACE


def give_up_calls() -> int:
    """Close calls that never got an answer, because their worker died, as unknown. Returns how many."""
    lost = ModelCall.objects.filter(finished_at=None, started_at__lt=seconds_from_now(-longest()))
    return lost.update(outcome=ModelCall.Outcome.UNKNOWN, finished_at=Now())


def sum_usage(window: timedelta = WINDOW) -> int:
    """Add the calls of the last minutes to the sums by day. Returns 0, because nothing was mended.

    Only calls are summed that can't change any more, each exactly once: those between two moments, of which the later
    one is stored with the sums.

    Args:
        window: time whose calls are summed in one transaction.
    """
    made, _ = Chore.objects.get_or_create(name=CHORE, defaults={"due_at": sums.BEGINNING})
    if _settled() - made.due_at >= timedelta(seconds=EVERY):
        while _sum_next(window):
            pass
    return 0


def _sum_next(window: timedelta) -> bool:
    """Sum the calls of the next window. Returns whether there may be more."""
    with transaction.atomic():
        chore = Chore.objects.select_for_update(no_key=True, skip_locked=True).filter(name=CHORE).first()
        end = _settled()
        if chore is None or chore.due_at >= end:
            return False
        rows = ModelCall.objects.filter(started_at__gte=chore.due_at).order_by("started_at")
        first = rows.values_list("started_at", flat=True).first() or end
        until = min(end, max(chore.due_at, first) + window)
        # Whoever began in this time and has not ended is not heard of any more.
        late = ModelCall.objects.filter(finished_at=None, started_at__lt=until)
        late.update(outcome=ModelCall.Outcome.UNKNOWN, finished_at=Now())
        with connection.cursor() as cursor:
            moments = [connection.ops.adapt_datetimefield_value(one) for one in (chore.due_at, until)]
            cursor.execute(_SUM.format(day=sums.day_of("started_at")), moments)
        Chore.objects.filter(name=CHORE).update(due_at=until)
    return until < end


def _settled() -> datetime:
    """Return a moment, by the database's clock, before which no call changes any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT STATEMENT_TIMESTAMP()" if connection.vendor == "postgresql" else "SELECT DATETIME('NOW')"
        )
        (now,) = cursor.fetchone()
    now = now if isinstance(now, datetime) else datetime.fromisoformat(now).replace(tzinfo=UTC)
    return (now - timedelta(seconds=longest())).replace(microsecond=0)


def old_model_calls() -> Iterator[int]:
    """Delete single model calls after MODEL_CALL_RETENTION_DAYS, once they are summed. Their sums by day stay."""
    if settings.MODEL_CALL_RETENTION_DAYS:
        before = retention.ago(timedelta(days=settings.MODEL_CALL_RETENTION_DAYS))
        yield from retention.delete_rows(ModelCall.objects.filter(started_at__lt=min(before, sums.summed_until())))
