"""Interrupts: questions that stop a task. Data only: `state.interrupts` changes their status."""

import json
import uuid
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.lookups import IsNull
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models.frozen_terms import FrozenTerm
from agents.models.tasks import Task
from core.db.clock import Now

# Open interrupts, then the newest decisions. In this form both databases can read it from an index: SQLite has none
# with NULLS FIRST.
NEWEST_FIRST = (IsNull(F("answered_at"), True).desc(), F("answered_at").desc(), F("id").desc())


class Interrupt(models.Model):
    """A question that stops a task until it is answered. `reviews` decides it.

    A row is identified by (task, message, call, kind, round), because a later turn can use the id of a tool call again.
    """

    class Kind(models.TextChoices):
        TOOL_CALL = "tool_call", _("Tool call")  # may this call run?
        QUESTION = "question", _("Question")  # the graph itself asks
        IN_DOUBT = "in_doubt", _("In doubt")  # the call may have run: what happened?
        BUDGET = "budget", _("Budget")  # it is used up: may the task go on?

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        APPROVED = "approved", _("Approved")
        EDITED = "edited", _("Edited")
        RESPONDED = "responded", _("Responded")
        REJECTED = "rejected", _("Rejected")
        EXPIRED = "expired", _("Expired")  # closed by the system as its terms say
        CANCELLED = "cancelled", _("Cancelled")  # its task ended first

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.ForeignKey(
        Task,
        models.CASCADE,
        related_name="interrupts",
        db_index=False,  # `one_interrupt_per_question` begins with it
        verbose_name=_("task"),
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    message_id = models.CharField(max_length=200)  # of the model's message that holds the call
    tool_call_id = models.CharField(max_length=200)
    round = models.PositiveIntegerField(default=0)  # counts up when the same question is asked again
    graph_id = models.CharField(max_length=64)  # LangGraph's id, to which the resuming run addresses the answer

    tool = models.CharField(_("tool"), max_length=200, blank=True)
    args_text = models.TextField(_("arguments"))  # canonical JSON of the arguments, or of a question's payload
    verdict_text = models.TextField()  # canonical JSON of the policy's verdict, frozen when it was asked
    # Who may decide it, read from the verdict by the database. `reviews.decisions.permissions` filters by these fields.
    deciders = models.GeneratedField(
        expression=FrozenTerm("verdict_text", "deciders"), output_field=models.TextField(), db_persist=True
    )  # JSON text of a list
    distinct = models.GeneratedField(
        expression=FrozenTerm("verdict_text", "distinct", output_field=models.BooleanField()),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    args_digest = models.CharField(max_length=64)  # over task, tool, arguments and verdict
    args_schema = models.JSONField(default=dict)
    description = models.TextField(_("description"), blank=True)
    said = models.TextField(_("the agent's words"), blank=True)  # what the model wrote along with the call
    risk = models.CharField(_("risk"), max_length=10, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True)
    on_expiry = models.CharField(max_length=10, default="reject")  # or "wait": stays open when it is overdue

    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.PENDING)
    version = models.PositiveIntegerField(default=1)  # changes with anything that a reviewer sees
    answer_type = models.CharField(max_length=16, blank=True)  # accept, edit, response, reject
    answer_args_text = models.TextField(blank=True)  # of an edit: what runs instead, canonical JSON
    answer_verdict_text = models.TextField(blank=True)  # of an edit: the policy's verdict on it
    answer_digest = models.CharField(max_length=64, blank=True)  # over what is to run
    answer_message = models.TextField(blank=True)  # the reason of a reject, the text of a response
    answered_by = models.CharField(_("decided by"), max_length=150, blank=True)
    answered_at = models.DateTimeField(_("decided"), null=True)
    used_at = models.DateTimeField(null=True)  # when the run acted on the answer

    created_at = models.DateTimeField(_("requested"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("interrupt")
        verbose_name_plural = _("interrupts")
        constraints = (
            models.UniqueConstraint(
                fields=("task", "message_id", "tool_call_id", "kind", "round"), name="one_interrupt_per_question"
            ),
        )
        indexes = (
            models.Index(fields=("created_at", "id"), name="interrupt_age"),  # GET /reviews
            models.Index(fields=("status", "created_at", "id"), name="interrupt_by_status"),  # GET /reviews?status=
            models.Index(  # the queue, soonest expiry first; its tabs are counted in the index alone
                fields=("status", "expires_at", "created_at", "id", "risk", "kind"), name="interrupt_soonest"
            ),
            # The queue's tabs with decided reviews, see NEWEST_FIRST.
            models.Index(*NEWEST_FIRST, name="interrupt_newest"),
            models.Index(fields=("tool", "-answered_at"), name="interrupt_by_tool"),  # past decisions, names of tools
            # For the sweeper: holds only answers that no run has used yet.
            models.Index(
                fields=("task",), condition=Q(answered_at__isnull=False, used_at=None), name="interrupt_unused"
            ),
            models.Index(
                fields=("expires_at",), condition=Q(status="pending", on_expiry="reject"), name="interrupt_expiry"
            ),
        )

    @override
    def __str__(self) -> str:
        return f"{self.tool or self.get_kind_display()} ({self.task})"

    @property
    def args(self) -> Any:
        """Arguments to decide on, or a question's payload."""
        return json.loads(self.args_text)
