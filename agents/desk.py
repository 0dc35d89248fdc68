"""What the people who decide do for the runs: an interface that `reviews` implements, named by `settings.REVIEW_DESK`.

Agents ask, reviews answer: nothing here imports the package above.
"""

import uuid
from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from agents.pause_file import Found


class Desk(ABC):
    """The side of the reviewers, as far as workers need it."""

    @abstractmethod
    def may_still_decide(self, interrupt_pk: uuid.UUID) -> bool:
        """Whether who decided this interrupt is active and still has the right to decide it so."""

    @abstractmethod
    def expire_overdue(self) -> int:
        """Close the open questions whose time is up, as their terms say. Returns how many."""

    @abstractmethod
    def mirror_pauses(self, found: "Found") -> None:
        """Make the rows of pauses what the pause file says."""


def desk() -> Desk:
    """Return the desk of this project."""
    return _made(settings.REVIEW_DESK)


@cache
def _made(path: str) -> Desk:
    made: Desk = import_string(path)()
    return made
