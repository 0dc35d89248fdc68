"""The human side of an interrupt."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from agents.models import Interrupt
from agentsite.core.clock import Now


class Review(Interrupt):
    """An interrupt as the record in the admin queue, with permissions of its own."""

    class Meta:
        proxy = True
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        permissions = (("decide_review", "Can decide reviews"),)

    def __str__(self) -> str:
        return f"{self.tool or self.get_kind_display()} · {self.task.session.user_id}"


class Decision(models.Model):
    """One person's verdict on a review: the history. What the run acts on stands on the interrupt itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.ForeignKey(Interrupt, models.CASCADE, related_name="decisions", verbose_name=_("review"))
    response_type = models.CharField(_("decision"), max_length=16)  # accept, edit, response, reject
    args_text = models.TextField(_("arguments"), blank=True)
    message = models.TextField(_("message"), blank=True)
    version = models.PositiveIntegerField(_("version"))  # of the review that was decided
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by"))
    by_name = models.CharField(_("by"), max_length=150)  # kept when the account goes; "system" for an expiry
    created_at = models.DateTimeField(_("decided"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        # One decision a review, whatever the code above it believes.
        constraints = (models.UniqueConstraint(fields=("review",), name="one_decision_per_review"),)

    def __str__(self) -> str:
        return f"{self.response_type} · {self.by_name}"
