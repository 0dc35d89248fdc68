"""Attempts: claims of workers on tasks."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models.tasks import Task
from core.db.clock import Now


class Attempt(models.Model):
    """One worker's claim on a task. The worker may write while the attempt is open: `ended_at` is null."""

    class Outcome(models.TextChoices):
        FINISHED = "finished", _("Finished")  # the task completed
        PAUSED = "paused", _("Paused")  # the graph asked a question
        FAILED = "failed", _("Failed")  # the task is an error
        RELEASED = "released", _("Released")  # handed over while the worker drained
        HELD = "held", _("Held")  # a pause stopped the task
        LAPSED = "lapsed", _("Lapsed")  # the lease expired: the worker died or stalled
        VOIDED = "voided", _("Voided")  # the task was cancelled while it ran

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.ForeignKey(
        Task,
        models.CASCADE,
        related_name="attempts",
        db_index=False,  # `one_attempt_per_token` begins with it
        verbose_name=_("task"),
    )
    token = models.PositiveIntegerField(_("token"))  # counts up per task
    worker = models.CharField(_("worker"), max_length=200)
    lease_until = models.DateTimeField(_("lease until"))
    started_at = models.DateTimeField(_("started"), db_default=Now(), editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True)
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = (
            models.UniqueConstraint(fields=("task", "token"), name="one_attempt_per_token"),
            models.UniqueConstraint(fields=("task",), condition=Q(ended_at=None), name="one_open_attempt_per_task"),
        )
        indexes = (models.Index(fields=("lease_until",), condition=Q(ended_at=None), name="attempt_lapsed"),)

    @override
    def __str__(self) -> str:
        return f"{self.task_id} #{self.token}"
