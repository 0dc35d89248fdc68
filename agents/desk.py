"""Interface to the reviewers' side, which `reviews` implements and `settings.REVIEW_DESK` names.

It lets agents use `reviews`, the package above, without importing it.
"""

import uuid
from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

from agents.config import Misconfigured, named
from agents.policy import Denied

if TYPE_CHECKING:
    from agents.pause_file import Found


class Desk(ABC):
    """Operations of the reviewers' side that workers need."""

    @abstractmethod
    def may_still_decide(self, interrupt_pk: uuid.UUID) -> bool:
        """Return whether the person who decided this interrupt is active and still has the right to decide it so."""

    @abstractmethod
    def expire_overdue(self) -> int:
        """Expire the open interrupts whose time is up, as their terms say. Returns how many."""

    @abstractmethod
    def record_refused(self, denied: Denied) -> bool:
        """Record a call that tried to get past its guard. Returns False if it is recorded already."""

    @abstractmethod
    def mirror_pauses(self, found: "Found") -> None:
        """Update the rows of pauses to match the pause file."""


def desk() -> Desk:
    """Return the desk of this project."""
    return _made(settings.REVIEW_DESK)


@cache
def _made(path: str) -> Desk:
    made = named(path)()
    if not isinstance(made, Desk):
        raise Misconfigured(f"{path} is not an agents.desk.Desk.")
    return made
