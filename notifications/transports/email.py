"""Deliveries by email: short, in the reader's language, and only to users who may still see the review or task."""

from smtplib import SMTPResponseException
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from agents.models import Budget, Interrupt, Status, Task
from core import timezones
from core.auth.principals import may_act_for
from core.text import shortened, visible
from notifications.delivery_results import Outcome, dropped, sent
from notifications.events import Event
from notifications.models import Delivery
from reviews.decisions import permissions
from reviews.models import PolicyRule, Review

LINE = 120  # most characters of a value that a client or a tool has chosen
VIEW_TASK = "agents.view_task"
VIEW_BUDGET = "agents.view_budget"


def send(delivery: Delivery) -> Outcome:
    """Send the email once, unless it has no point or is not permitted.

    An SMTP error response is an outcome. Raises all other errors of the mail backend.
    """
    user = delivery.user
    if user is None or not user.is_active or not user.email:
        return dropped(gettext_noop("There is no recipient: no active account with an email address."))
    if getattr(user, "notices", None) is None:
        return dropped(gettext_noop("The user has unsubscribed."))
    event = Event(delivery.event)
    if why := _objection(user, event, delivery):
        return dropped(why)
    try:
        _message(user, event, delivery).send()
    except SMTPResponseException as error:  # its text may name the reader's address
        return Outcome(Delivery.Status.PENDING, error.smtp_code, type(error).__name__)
    return sent()


def _objection(user: User, event: Event, delivery: Delivery) -> str:
    """Return the reason why this user must not get the email, or "" if there is none."""
    if event is Event.BUDGET_NEARLY_USED:
        is_seen = user.is_staff and user.has_perm(VIEW_BUDGET)
        return "" if is_seen else gettext_noop("The user may not see the budget.")
    if not event.of_review:
        task = Task.objects.select_related("session").filter(pk=delivery.object_id).first()
        return "" if task is not None and _may_see(user, task) else gettext_noop("The user may not see the task.")
    review = Review.objects.select_related("task__session").filter(pk=delivery.object_id).first()
    if review is None or not permissions.may_see(user, review):
        return gettext_noop("The user may not see the review.")
    if event.asks and review.status != Interrupt.Status.PENDING:
        return gettext_noop("The review was already closed.")
    if event.asks and not permissions.may_decide(user, review):
        return gettext_noop("The user may not decide the review.")
    if event is Event.REVIEW_DECIDED and review.answered_by == user.get_username():
        return gettext_noop("The user made the decision.")
    return ""


def _may_see(user: User, task: Task) -> bool:
    """Return whether the API or the admin shows the task to the user."""
    return may_act_for(user, task.session.user_id) or (user.is_staff and user.has_perm(VIEW_TASK))


def _message(user: User, event: Event, delivery: Delivery) -> EmailMessage:
    chosen = getattr(user, "preferences", None)
    with override(user.notices.language), timezone.override(timezones.zone(chosen.time_zone) if chosen else None):
        data = delivery.data
        subject = f"[Agentsite] {': '.join(filter(None, (_first_line(event), _word(data.get('tool')))))}"
        text = "\n".join((f"{_first_line(event)}.", "", *_lines(data), "", *_link(user, data)))
    headers = {
        "Message-ID": f"<{delivery.pk}@{urlsplit(settings.PUBLIC_URL).hostname}>",  # the same for each try
        "Auto-Submitted": "auto-generated",  # no out-of-office answers
    }
    return EmailMessage(subject, text, to=[user.email], headers=headers)


def _first_line(event: Event) -> str:
    return {
        Event.REVIEW_NEW: _("A review is waiting for a decision"),
        Event.REVIEW_NEARLY_EXPIRED: _("A review expires soon"),
        Event.REVIEW_EXPIRED: _("A review expired"),
        Event.REVIEW_DECIDED: _("A review was decided"),
        Event.TASK_COMPLETED: _("A task was completed"),
        Event.TASK_ERROR: _("A task failed"),
        Event.TASK_CANCELLED: _("A task was cancelled"),
        Event.BUDGET_NEARLY_USED: _("A budget is nearly used up"),
        Event.TEST: _("Test message"),
    }[event]


def _lines(data: dict[str, Any]) -> list[str]:
    expires = parse_datetime(data.get("expires_at") or "")
    shown = (
        (_("Tool"), data.get("tool")),
        (_("Budget"), data.get("budget")),
        (_("Used"), _used(data)),
        (_("Risk"), dict(PolicyRule.Risk.choices).get(data.get("risk") or "")),
        (_("Status"), _status(data)),
        (_("Expires"), expires and f"{timezone.localtime(expires):%Y-%m-%d %H:%M %Z}"),
        (_("Review"), data.get("review_id")),
        (_("Task"), data.get("task_id")),
        (_("Session"), data.get("session_id")),
        (_("User"), data.get("user_id")),
    )
    return [f"{name}: {_word(value)}" for name, value in shown if value]


def _status(data: dict[str, Any]) -> str:
    """Return the status as the admin shows it."""
    choices: Any = Interrupt.Status.choices if "review_id" in data else Status.choices
    return str(dict(choices).get(data.get("status"), ""))


def _used(data: dict[str, Any]) -> str:
    """Return how much of a budget is used, or "" if the email is about something else."""
    if "budget_id" not in data:
        return ""
    unit = settings.MODEL_CURRENCY if data["unit"] == Budget.Unit.MONEY else Budget.Unit(data["unit"]).label
    return f"{data['used']} / {data['limit']} {unit}"


def _link(user: User, data: dict[str, Any]) -> list[str]:
    """Return the link to the admin, for users who have access to it."""
    return [data["url"]] if user.is_staff else []


def _word(value: Any) -> str:
    """Return the value in one line, so that text from a client or a tool cannot look like more of the email."""
    return shortened(" ".join(visible(str(value or "")).split()), LINE)
