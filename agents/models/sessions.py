"""Conversations of a user with an agent."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from typing_extensions import override

from core.db.clock import Now

ID_LENGTH = 128


class Session(models.Model):
    """A conversation of one user with an agent: its tasks in order."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.CharField(_("user"), max_length=ID_LENGTH)
    session_id = models.CharField(_("session"), max_length=ID_LENGTH)
    title = models.CharField(_("title"), max_length=200, blank=True)
    agent = models.CharField(_("agent"), max_length=100, default="default")  # of its tasks, unless one names another
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        permissions = (
            ("act_for_any_user", gettext_noop("Can act for any user (service account)")),
            ("view_system", gettext_noop("Can see the whole system")),
            ("use_console", gettext_noop("Can use the console")),
        )
        constraints = (models.UniqueConstraint(fields=("user_id", "session_id"), name="one_session_per_id_and_user"),)
        indexes = (
            models.Index(fields=("user_id", "-created_at"), name="session_list"),  # GET /agent/sessionids
            models.Index(fields=("created_at", "id"), name="session_age"),  # the admin's list, deleting old sessions
            models.Index(fields=("session_id",), name="session_by_id"),  # the admin's search
        )

    @override
    def __str__(self) -> str:
        return f"{self.user_id} / {self.session_id}"
