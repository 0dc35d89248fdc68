"""Pauses: rows that keep work from starting. `agents.pauses` applies them, `reviews.pauses` writes them."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from typing_extensions import override

from core.db.clock import Now
from core.text import visible

VALUE_LENGTH = 200  # characters; no agent, tool or user has a longer name
NAME_LENGTH = 255  # characters of the name of who paused, which may be a host


class Pause(models.Model):
    """Pause of everything, of an agent, of a tool or of a user, from `created_at` until `lifted_at`."""

    class Scope(models.TextChoices):
        EVERYTHING = "everything", _("Everything")
        AGENT = "agent", _("Agent")
        TOOL = "tool", _("Tool")
        USER = "user", _("User")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(_("scope"), max_length=12, choices=Scope)
    value = models.CharField(_("name"), max_length=VALUE_LENGTH, blank=True)  # "" if everything is paused
    reason = models.TextField(_("reason"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("paused by")
    )
    by_name = models.CharField(_("paused by"), max_length=NAME_LENGTH)  # kept when the account is deleted
    # For a pause by a file: the id of the data folder, and when a worker last found the file there.
    source = models.CharField(max_length=64, blank=True, editable=False)
    seen_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("since"), db_default=Now(), editable=False)
    lifted_at = models.DateTimeField(_("resumed"), null=True, editable=False)
    lifted_by_name = models.CharField(_("resumed by"), max_length=NAME_LENGTH, blank=True, editable=False)

    class Meta:
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")
        default_permissions = ("view",)
        permissions = (("pause_work", gettext_noop("Can pause and resume work")),)
        constraints = (
            # Also the index for active pauses, which are far fewer than lifted ones.
            models.UniqueConstraint(
                fields=("scope", "value", "source"), condition=Q(lifted_at=None), name="one_active_pause_per_scope"
            ),
            models.CheckConstraint(
                condition=Q(scope="everything", value="") | (~Q(scope="everything") & ~Q(value="")),
                name="a_pause_names_what_it_pauses",
            ),
        )
        indexes = (models.Index(fields=("-created_at",), name="pause_recent"),)  # the admin's list, GET /pauses

    @override
    def __str__(self) -> str:
        return visible(f"{self.get_scope_display()} {self.value}".strip())

    @property
    def in_logs(self) -> str:
        """Description for the process log, where users are not named."""
        is_named = self.scope in (self.Scope.AGENT, self.Scope.TOOL)
        return visible(f"{self.scope} {self.value}") if is_named else str(self.scope)
