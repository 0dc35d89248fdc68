"""Recipients of notices, and the outbox of deliveries."""

import base64
import json
import secrets
import uuid
from fnmatch import fnmatchcase
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models import ID_LENGTH, Task
from core.db.clock import Now
from core.text import visible
from notifications.events import Event, all_events, asking_events
from notifications.transports import address_policy

SECRET_BYTES = 32  # Standard Webhooks asks for 24 to 64


def new_secret() -> str:
    """Return a new key for HMAC-SHA256 in the format of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


class Endpoint(models.Model):
    """An application that receives events by webhook."""

    name = models.CharField(_("name"), max_length=100)
    url = models.URLField(_("address"), max_length=500)
    secret = models.CharField(_("secret"), max_length=100, default=new_secret, editable=False)  # in clear, for signing
    events = models.JSONField(_("events"), default=all_events)
    user = models.CharField(_("user"), max_length=ID_LENGTH, default="*")  # pattern for the task's user_id
    active = models.BooleanField(_("active"), default=True)
    note = models.CharField(_("note"), max_length=200, blank=True, editable=False)  # why the system switched it off
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering = ("name", "pk")

    @override
    def __str__(self) -> str:
        return visible(self.name)

    @override
    def clean(self) -> None:
        """Raise ValidationError if the policy does not allow sending to the address."""
        if not self.active:
            return  # an endpoint whose host no longer resolves can still be switched off
        try:
            address_policy.check_url(self.url)
        except address_policy.Refused as error:
            raise ValidationError({"url": str(error)}) from error

    def wants(self, event: str, user_id: str) -> bool:
        """Return whether the endpoint receives this event of this user."""
        return event in self.events and fnmatchcase(user_id, self.user)


class Subscription(models.Model):
    """Events that a Django user receives by email. A user without a subscription receives none."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notices", verbose_name=_("user")
    )
    events = models.JSONField(_("events"), default=asking_events)
    high_risk_only = models.BooleanField(_("for open reviews, only those with high risk"), default=True)
    language = models.CharField(_("language"), max_length=16, choices=settings.LANGUAGES, default="en")

    class Meta:
        verbose_name = _("email subscription")
        verbose_name_plural = _("email subscriptions")

    @override
    def __str__(self) -> str:
        return visible(self.user.get_username())

    def wants(self, event: Event, risk: str) -> bool:
        """Return whether its user asked for this event of a review of this risk ("" for a task)."""
        return event.value in self.events and not (event.asks and self.high_risk_only and risk != "high")


class Delivery(models.Model):
    """One event for one recipient, written in the transaction that makes the event and sent after it.

    Recipients have no constraint in the database, because one deleted at the same time would make the event's
    transaction fail at commit. A delivery without its recipient is dropped.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")  # to be sent at `due_at`
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")  # given up
        DROPPED = "dropped", _("Dropped")  # not sent: it had no point any more, or was not permitted

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # `webhook-id`, the same at each try
    event = models.CharField(_("event"), max_length=32, choices=Event)
    object_id = models.UUIDField(_("object"))  # of the review or the task
    # By this key, deliveries are erased with their user's sessions.
    task = models.ForeignKey(Task, models.CASCADE, null=True, related_name="notices", verbose_name=_("task"))
    endpoint = models.ForeignKey(
        *(Endpoint, models.CASCADE), null=True, db_constraint=False, verbose_name=_("webhook endpoint")
    )
    user = models.ForeignKey(
        *(settings.AUTH_USER_MODEL, models.CASCADE),
        null=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("user"),
    )
    body = models.TextField(_("body"))  # sent verbatim by a webhook; an email is made from it

    status = models.CharField(_("status"), max_length=8, choices=Status, default=Status.PENDING)
    due_at = models.DateTimeField(_("next try"), db_default=Now())  # during a try: the end of its lease
    attempts = models.PositiveIntegerField(_("attempts"), default=0)  # in total; the worker with the newest one records
    tries = models.PositiveIntegerField(_("tries"), default=0, editable=False)  # since it was last asked for
    last_code = models.PositiveSmallIntegerField(_("last status code"), null=True)  # HTTP or SMTP status
    last_error = models.CharField(_("last error"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    sent_at = models.DateTimeField(_("sent"), null=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = (
            models.UniqueConstraint(fields=("event", "object_id", "endpoint"), name="one_delivery_per_endpoint"),
            models.UniqueConstraint(fields=("event", "object_id", "user"), name="one_delivery_per_user"),
        )
        indexes = (
            models.Index(fields=("status", "due_at"), name="delivery_due"),
            models.Index(fields=("created_at",), name="delivery_age"),  # the housekeeping, the admin's list
        )

    @override
    def __str__(self) -> str:
        return f"{self.event} {self.object_id}"

    @property
    def data(self) -> dict[str, Any]:
        """Ids and words that the body contains."""
        return dict(json.loads(self.body)["data"])
