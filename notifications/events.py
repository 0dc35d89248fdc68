"""Events that a notice can be about, by their names in the API."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents.observability.metrics import Counter

NOTICES = Counter(
    "agentsite_notices_total",
    "Attempts to deliver a notification, by channel and outcome: sent, retried, failed, dropped.",
    ("channel", "outcome"),
)


class Event(models.TextChoices):
    """An event that people and applications can subscribe to, or a test."""

    REVIEW_NEW = "review.new", _("New review")
    REVIEW_NEARLY_EXPIRED = "review.nearly_expired", _("Review nearly expired")  # once per review
    REVIEW_EXPIRED = "review.expired", _("Review expired")  # closed by the system
    REVIEW_DECIDED = "review.decided", _("Review decided")
    TASK_COMPLETED = "task.completed", _("Task completed")
    TASK_ERROR = "task.error", _("Task failed")
    TASK_CANCELLED = "task.cancelled", _("Task cancelled")
    BUDGET_NEARLY_USED = "budget.nearly_used", _("Budget nearly used up")  # once per budget, subject and period
    TEST = "test", _("Test")

    @property
    def asks(self) -> bool:
        """Return whether the event asks a person to decide. It has no point once that is done."""
        return self in (Event.REVIEW_NEW, Event.REVIEW_NEARLY_EXPIRED)

    @property
    def of_review(self) -> bool:
        """Return whether the event is about a review."""
        return self.value.startswith("review.")


OFFERED = [(event.value, event.label) for event in Event if event is not Event.TEST]  # to subscribe to


def all_events() -> list[str]:
    """Return the events of a new endpoint."""
    return [value for value, _label in OFFERED]


def asking_events() -> list[str]:
    """Return the events of a new email subscription."""
    return [event.value for event in Event if event.asks]
