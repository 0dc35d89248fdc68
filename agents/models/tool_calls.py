"""Ledger of tool calls. Data only: `state.tool_calls` changes a status."""

import json
import uuid
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models.attempts import Attempt
from agents.models.tasks import Task
from core.db.clock import Now


class ToolCall(models.Model):
    """Row of the ledger: a call that was let through. It is entered before the tool runs."""

    class Status(models.TextChoices):
        STARTED = "started", _("Started")  # runs, or is in doubt because its worker died during the call
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")  # it did not happen

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # also the idempotency key
    task = models.ForeignKey(
        Task,
        models.CASCADE,
        related_name="tool_calls",
        db_index=False,  # `one_ledger_row_per_call` begins with it
        verbose_name=_("task"),
    )
    message_id = models.CharField(max_length=200)
    tool_call_id = models.CharField(max_length=200)
    tool = models.CharField(_("tool"), max_length=200)
    args_text = models.TextField(_("arguments"))
    args_digest = models.CharField(max_length=64)
    reviewed = models.BooleanField(_("reviewed"), default=False)
    # Key of the outer call, if a sub-agent makes this one. No foreign key: that row is taken back at each interrupt.
    outer = models.UUIDField(null=True, editable=False)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.STARTED)
    attempt = models.ForeignKey(Attempt, models.SET_NULL, null=True, related_name="+", verbose_name=_("attempt"))
    runs = models.PositiveIntegerField(_("runs"), default=1)  # >1 only by a person's decision or for an idempotent tool
    doubtful = models.BooleanField(_("in doubt"), default=False)  # the tool's error does not say what happened
    result_text = models.TextField(_("result"), blank=True)
    started_at = models.DateTimeField(_("started"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True)

    # The policy's rule by which it was let in; known only to the run that has entered the call.
    admitted_by: int | None = None

    class Meta:
        verbose_name = _("tool call")
        verbose_name_plural = _("tool calls")
        constraints = (
            models.UniqueConstraint(fields=("task", "message_id", "tool_call_id"), name="one_ledger_row_per_call"),
        )
        indexes = (  # the admin's list and its filters
            models.Index(fields=("-started_at",), name="tool_call_recent"),
            models.Index(fields=("tool", "-started_at"), name="tool_call_by_tool"),
            models.Index(fields=("status", "-started_at"), name="tool_call_by_status"),
            models.Index(fields=("-started_at",), condition=models.Q(doubtful=True), name="tool_call_doubtful"),
        )

    @override
    def __str__(self) -> str:
        return f"{self.tool} ({self.task})"

    @property
    def args(self) -> Any:
        """Arguments that the tool ran with."""
        return json.loads(self.args_text)

    @property
    def result(self) -> Any:
        """Result that the model received: any JSON value, or "" if there is none yet."""
        try:
            kept = json.loads(self.result_text or '""')
        except ValueError:
            return self.result_text
        return kept.get("content", "") if isinstance(kept, dict) else self.result_text
