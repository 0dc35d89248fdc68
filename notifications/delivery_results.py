"""What came of a try, and when there is another."""

import random
from dataclasses import dataclass

from django.conf import settings

from agents.policy import DAY
from notifications.models import Delivery

GROWTH = 4  # each pause is so many times the one before
JITTER = 0.25  # of a pause, up or down: what failed together does not come back together


@dataclass(frozen=True)
class Outcome:
    """What came of a try."""

    status: str  # of the delivery; `pending`: it is tried again, unless that was the last try
    code: int | None = None  # HTTP or SMTP status
    error: str = ""
    wait: float = 0.0  # seconds that the receiver asked for before the next try


def sent(code: int | None = None) -> Outcome:
    """It has arrived."""
    return Outcome(Delivery.Status.SENT, code)


def dropped(why: str) -> Outcome:
    """There was no point in it, or no right to it."""
    return Outcome(Delivery.Status.DROPPED, error=why)


def pause(tries: int, asked: float) -> float:
    """Seconds until the next try after so many (1 and more); at least what the receiver asked for, at most a day."""
    grown = settings.NOTICE_RETRY_SECONDS * GROWTH ** min(tries - 1, 20)
    return min(max(grown * random.uniform(1 - JITTER, 1 + JITTER), asked), DAY)
