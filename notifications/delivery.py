"""Sending of deliveries: claim one, send it, record the outcome. At least once, and by one worker at a time."""

import logging
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import F, QuerySet

from agents.observability import metrics
from core.db import leases
from core.db.clock import Now, seconds_from_now
from core.text import shortened, storable
from notifications.delivery_results import Outcome, pause
from notifications.events import NOTICES
from notifications.models import Delivery
from notifications.transports import email, webhook

logger = logging.getLogger(__name__)

LEASE = 120.0  # seconds after which another worker may claim the delivery: more than a try can take
MAIL = 0  # the lane of all emails; that of a webhook is its endpoint's id

Status = Delivery.Status


def due() -> QuerySet[Delivery]:
    """Return the deliveries that are due now."""
    return leases.over(Delivery.objects.filter(status=Status.PENDING), "due_at")


def lanes() -> list[int]:
    """Return the lanes in which something is due. A failure in one lane does not delay the others."""
    return [lane or MAIL for lane in due().order_by().values_list("endpoint_id", flat=True).distinct()]


def serve(lane: int, is_over: Callable[[], bool]) -> bool:
    """Deliver what is due in this lane. Returns False once a try failed, because the others would fail now too."""
    waiting = due().filter(endpoint=lane or None).order_by("due_at")
    while not is_over() and (found := waiting.values_list("pk", flat=True).first()) is not None:
        delivery = claim(found)
        if delivery is not None and not carry_out(delivery):
            return False
    return True


def deliver_due() -> None:
    """Deliver what is due in every lane, one after the other, in this thread."""
    for lane in lanes():
        serve(lane, lambda: False)


def claim(pk: uuid.UUID) -> Delivery | None:
    """Claim the delivery for a try by this worker. Returns None if another worker has claimed it, or it is gone."""
    rows = Delivery.objects.filter(pk=pk, status=Status.PENDING)
    if not leases.take(rows, "due_at", LEASE, attempts=F("attempts") + 1, tries=F("tries") + 1):
        return None
    return Delivery.objects.select_related("endpoint", "user__notices").filter(pk=pk).first()


def carry_out(delivery: Delivery) -> bool:
    """Make the claimed try. Returns False if it failed."""
    send = email.send if delivery.endpoint_id is None else webhook.send
    if not connection.in_atomic_block:
        connection.close()  # others can use it during the wait for the receiver
    try:
        outcome = send(delivery)
    except Exception as error:  # from the network, TLS or the mail server: in any case, it did not arrive
        outcome = Outcome(Status.PENDING, error=_described(error, delivery))
    return _record(delivery, outcome)


def _record(delivery: Delivery, outcome: Outcome) -> bool:
    is_last = outcome.status == Status.PENDING and delivery.tries >= settings.NOTICE_TRIES
    status = Status.FAILED if is_last else outcome.status
    values: dict[str, Any] = {
        "status": status,
        "last_code": outcome.code,
        "last_error": shortened(storable(outcome.error), 200),
    }
    if status == Status.PENDING:
        values["due_at"] = seconds_from_now(pause(delivery.tries, outcome.wait))
    elif status == Status.SENT:
        values["sent_at"] = Now()
    # If another worker has claimed it after the end of our lease, that worker records the outcome.
    Delivery.objects.filter(pk=delivery.pk, status=Status.PENDING, attempts=delivery.attempts).update(**values)
    channel = "mail" if delivery.endpoint_id is None else "webhook"
    metrics.count(NOTICES, channel, "retried" if status == Status.PENDING else status)
    log = logger.info if outcome.status in (Status.SENT, Status.DROPPED) else logger.warning
    log("notice %s (%s, %s): %s %s", delivery.pk, delivery.event, channel, status, outcome.error)
    return outcome.status in (Status.SENT, Status.DROPPED)


def _described(error: Exception, delivery: Delivery) -> str:
    """Return a description of the error; for an email only its type, because the text may name the reader's address."""
    kind = type(error).__name__
    return kind if delivery.endpoint_id is None else f"{kind}: {error}"
