"""Outbox: deliveries are written in the transaction of their event, so that neither exists without the other."""

import json
import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial, wraps
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from agents import broker, signals
from agents.maintenance import retention, sweeper
from agents.models import BudgetUse, Interrupt, Task
from agents.state.budgets import State
from agents.usage.budget_texts import plain
from core.db.clock import Now, seconds_from_now
from core.db.process_cache import process
from notifications.events import Event
from notifications.models import Delivery, Endpoint, Subscription
from reviews.signals import review_decided

logger = logging.getLogger(__name__)

# The name on the wire since the first release, which messages under way carry.
JOB = "agentsite.notices.jobs.deliver"  # by name, because the web process sends nothing itself
# Written out, because looking them up would load all pages into the worker during the event's transaction.
REVIEW_PAGE = "/admin/reviews/review/{}/change/"
TASK_PAGE = "/admin/agents/task/{}/change/"
BUDGET_PAGE = "/admin/agents/budget/{}/change/"


def connect() -> None:
    """Connect the receivers of events."""
    signals.reviews_asked.connect(_on_asked)
    signals.task_finished.connect(_on_finished)
    signals.budget_nearly_used.connect(_on_nearly_used)
    review_decided.connect(_on_decided)


def _harmless(receiver: Callable[..., None]) -> Callable[..., None]:
    """Decorate a receiver so that its errors are logged and leave the event's own transaction unaffected."""

    @wraps(receiver)
    def guarded(**kwargs: Any) -> None:
        try:
            with transaction.atomic():
                receiver(**kwargs)
        except Exception:
            logger.exception("a notice could not be written: nobody will be told")

    return guarded


@_harmless
def _on_asked(reviews: list[Interrupt], **kwargs: Any) -> None:
    listening = Listening()
    if listening.to(Event.REVIEW_NEW):
        for review in _rows([review.pk for review in reviews]):
            announce(Event.REVIEW_NEW, review, listening)


@_harmless
def _on_decided(review: Interrupt, status: str, **kwargs: Any) -> None:
    event = Event.REVIEW_EXPIRED if status == Interrupt.Status.EXPIRED else Event.REVIEW_DECIDED
    announce(event, review, Listening(), status=status)


def _on_finished(task: Task, **kwargs: Any) -> None:
    """Write the deliveries. That nobody listens is known for STALENESS_SECONDS, because each run ends here."""
    event = Event(f"task.{task.status}")
    if process.get(f"unheard:{event}") is None:
        _tell_finished(event=event, task=task)


@_harmless
def _tell_finished(event: Event, task: Task) -> None:
    listening = Listening()
    if listening.to(event):
        tell(event, task.pk, task, {"status": task.status}, TASK_PAGE, listening)
    else:
        process.set(f"unheard:{event}", True, settings.STALENESS_SECONDS)


@_harmless
def _on_nearly_used(use: BudgetUse, task: Task, state: State, **kwargs: Any) -> None:
    budget = state.budget
    data = {
        "budget_id": budget.pk,
        "budget": budget.name,
        "unit": budget.unit,
        "period": budget.period,
        "used": plain(state.used),
        "limit": plain(state.limit),
    }
    tell(Event.BUDGET_NEARLY_USED, use.pk, task, data, BUDGET_PAGE.format(budget.pk), Listening())


def near_expiry() -> int:
    """Announce reviews that are nearly expired, once each (the sweeper calls this). Returns how many."""
    limit, share = settings.NOTICE_NEAR_EXPIRY_SECONDS, settings.NOTICE_NEAR_EXPIRY_SHARE
    listening = Listening()
    if not listening.to(Event.REVIEW_NEARLY_EXPIRED):
        return 0
    told = Delivery.objects.filter(event=Event.REVIEW_NEARLY_EXPIRED, object_id=OuterRef("pk"))
    soon = Interrupt.objects.filter(
        ~Exists(told),
        status=Interrupt.Status.PENDING,
        expires_at__gt=Now(),
        expires_at__lt=seconds_from_now(limit),
    )
    rows = soon.annotate(now=Now()).select_related("task").order_by("expires_at")
    rows = rows.only("created_at", "expires_at", "risk", "task__user_id")
    late = (
        row.pk
        for row in rows.iterator()
        if row.expires_at
        and row.expires_at - row.now < (row.expires_at - row.created_at) * share
        and any(listening.recipients(Event.REVIEW_NEARLY_EXPIRED, row.task.user_id, row.risk))
    )
    return sweeper.each(list(islice(late, sweeper.BATCH)), partial(_tell_near_expiry, listening))


def _tell_near_expiry(listening: "Listening", review_pk: uuid.UUID) -> bool:
    with transaction.atomic():
        # Locked, so that a review that is being decided is announced before the decision or not at all.
        locked = Interrupt.objects.select_for_update(no_key=True).filter(pk=review_pk, status="pending").exists()
        rows = _rows([review_pk]) if locked else ()
        return any(announce(Event.REVIEW_NEARLY_EXPIRED, review, listening) for review in rows)


def old_deliveries() -> Iterator[int]:
    """Delete deliveries older than NOTICE_RETENTION_DAYS, whatever their status, and yield how many at a time.

    The housekeeping calls this.
    """
    if settings.NOTICE_RETENTION_DAYS:
        before = retention.ago(timedelta(days=settings.NOTICE_RETENTION_DAYS))
        yield from retention.delete_rows(Delivery.objects.filter(created_at__lt=before))


def send_test(endpoint: Endpoint) -> Delivery:
    """Send this endpoint a test, which contains no user's data."""
    with transaction.atomic():
        made: Delivery = Delivery.objects.create(
            event=Event.TEST,
            object_id=uuid.uuid4(),
            endpoint=endpoint,
            body=_body(Event.TEST, {"url": _url("/admin/")}),
        )
        nudge()
    return made


def again(deliveries: QuerySet[Delivery]) -> int:
    """Send these deliveries again at once, with as many tries as new ones. Returns how many.

    One that is being sent at the time may arrive twice, under the same `webhook-id`.
    """
    with transaction.atomic():
        count = deliveries.update(status=Delivery.Status.PENDING, due_at=Now(), tries=0, sent_at=None)
        nudge()
    return count


def announce(event: Event, review: Interrupt, listening: "Listening", status: str = "") -> int:
    """Write the deliveries of an event of this review. Returns how many."""
    data = {
        "review_id": review.pk,
        "kind": review.kind,
        "tool": review.tool,
        "risk": review.risk,
        "status": status or review.status,
        "expires_at": review.expires_at,
    }
    return tell(event, review.pk, review.task, data, REVIEW_PAGE, listening)


def tell(
    event: Event, object_id: uuid.UUID, task: Task, data: dict[str, Any], page: str, listening: "Listening"
) -> int:
    """Write a delivery for each recipient that wants the event. Returns how many.

    The body contains only ids, words of our own and a budget's name, no arguments and no texts. The permission of a
    person to see the review, task or budget is checked when it is sent.
    """
    endpoints, users = listening.recipients(event, task.user_id, str(data.get("risk", "")))
    if not endpoints and not users:
        return 0
    ids = {"user_id": task.user_id, "session_id": task.session.session_id, "task_id": task.task_id}
    body = _body(event, {**data, **ids, "url": _url(page.format(object_id))})
    common: dict[str, Any] = {"event": event, "object_id": object_id, "task_id": task.pk, "body": body}
    rows = [Delivery(**common, endpoint_id=pk) for pk in endpoints] + [Delivery(**common, user_id=pk) for pk in users]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    nudge()
    return len(rows)


class Listening:
    """Active endpoints and all subscriptions. They are few, and filtered in Python: SQLite cannot query JSON lists."""

    def __init__(self) -> None:
        self.endpoints = list(Endpoint.objects.filter(active=True))
        self.subscriptions = list(Subscription.objects.all())

    def to(self, event: Event) -> bool:
        """Return whether any endpoint or subscription includes this event."""
        lists = [one.events for one in self.endpoints] + [one.events for one in self.subscriptions]
        return any(event in events for events in lists)

    def recipients(self, event: Event, user_id: str, risk: str) -> tuple[list[int], list[int]]:
        """Return the ids of the endpoints and users that want the event."""
        return (
            [one.pk for one in self.endpoints if one.wants(event, user_id)],
            [one.user_id for one in self.subscriptions if one.wants(event, risk)],
        )


def nudge() -> None:
    """Wake a worker once this transaction has committed. Without it, the sweeper still delivers, but later."""
    transaction.on_commit(partial(broker.nudge, JOB), robust=True)


def _rows(pks: list[uuid.UUID]) -> QuerySet[Interrupt]:
    """Return the reviews as stored, because instances that were just written may hold expressions instead of times."""
    return Interrupt.objects.select_related("task__session").filter(pk__in=pks).order_by("created_at", "pk")


def _body(event: Event, data: dict[str, Any]) -> str:
    whole = {"type": event.value, "timestamp": timezone.now(), "data": data}
    return json.dumps(whole, cls=DjangoJSONEncoder, separators=(",", ":"))


def _url(path: str) -> str:
    return f"{settings.PUBLIC_URL}{path}"
