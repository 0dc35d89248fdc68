"""Outcome of a try to deliver, and the pause before the next one."""

import random
from dataclasses import dataclass

from django.conf import settings

from agents.policy import DAY
from notifications.models import Delivery

GROWTH = 4  # factor from one pause to the next
JITTER = 0.25  # share of a pause, up or down, so that tries that failed together are not repeated together


@dataclass(frozen=True)
class Outcome:
    """Outcome of a try."""

    status: str  # of the delivery; `pending`: it is tried again, unless that was the last try
    code: int | None = None  # HTTP or SMTP status
    error: str = ""
    wait: float = 0.0  # seconds that the receiver asked for before the next try


def sent(code: int | None = None) -> Outcome:
    """Return the outcome of a delivery that has arrived."""
    return Outcome(Delivery.Status.SENT, code)


def dropped(why: str) -> Outcome:
    """Return the outcome of a delivery that is not sent because it has no point or is not permitted."""
    return Outcome(Delivery.Status.DROPPED, error=why)


def pause(tries: int, asked: float) -> float:
    """Return the seconds until the next try after `tries` (1 or more): at least `asked`, at most a day."""
    grown = settings.NOTICE_RETRY_SECONDS * GROWTH ** min(tries - 1, 20)
    return min(max(grown * random.uniform(1 - JITTER, 1 + JITTER), asked), DAY)
