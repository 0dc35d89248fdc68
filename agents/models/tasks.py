"""Tasks of users, and idempotency keys. Data only: `state.tasks` changes a task's status."""

import uuid

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models.sessions import ID_LENGTH, Session
from core.db.clock import Now


class Status(models.TextChoices):
    """Status of a task. The transitions are in `agents.state.transitions`."""

    QUEUED = "queued", _("Queued")  # waits for the session to be free; `pending` on the wire
    PENDING = "pending", _("Pending")  # waits for a worker
    RUNNING = "running", _("Running")  # an attempt holds it
    INTERRUPTED = "interrupted", _("Interrupted")  # waits for a person
    COMPLETED = "completed", _("Completed")  # has a final answer
    ERROR = "error", _("Error")  # failed for good; `message` says why
    CANCELLED = "cancelled", _("Cancelled")  # ended by its owner


ACTIVE = (Status.PENDING, Status.RUNNING, Status.INTERRUPTED)


UNFINISHED = (Status.QUEUED, *ACTIVE)


FINAL = (Status.COMPLETED, Status.ERROR, Status.CANCELLED)


class Task(models.Model):
    """One request of a user: one run of the graph on the LangGraph thread `id`, possibly stopped and resumed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey(
        Session,
        models.CASCADE,
        related_name="tasks",
        db_index=False,  # `one_task_per_position_and_session` begins with it
        verbose_name=_("session"),
    )
    task_id = models.CharField(_("task"), max_length=ID_LENGTH)
    user_id = models.CharField(max_length=ID_LENGTH, editable=False)  # copied from the session, for indexes
    position = models.PositiveIntegerField(editable=False)  # in the session, from 1; times can be equal
    query = models.TextField(_("query"))
    system_message = models.TextField(_("system message"), blank=True)
    agent = models.CharField(_("agent"), max_length=100, default="default")
    request_digest = models.CharField(max_length=64, editable=False)  # to recognize a repeated submission
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,  # `task_flight_principal` begins with it
        verbose_name=_("submitted by"),
    )

    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.PENDING)
    message = models.TextField(_("message"), blank=True)  # of an error: what happened, and whether trying again helps
    result = models.JSONField(_("result"), null=True, encoder=DjangoJSONEncoder)  # of a completed task: its messages
    recalled = models.JSONField(_("recalled memories"), null=True)  # [{id, text, kind}]; null until it first starts

    token = models.PositiveIntegerField(default=0)  # of the newest attempt; used only for fencing
    lapses = models.PositiveIntegerField(default=0)  # leases expired in a row without a new checkpoint
    last_checkpoint = models.CharField(max_length=64, blank=True)  # its id when the last lease expired
    run_seconds = models.FloatField(default=0)  # spent in ended attempts: waiting for people does not count
    published_at = models.DateTimeField(null=True)  # when its job was last published, while pending
    # The tool before whose call a pause stopped the task. The database default serves releases without this field.
    held_tool = models.CharField(max_length=200, blank=True, default="", db_default="")
    last_seq = models.PositiveIntegerField(default=0, db_default=0)  # of its events
    has_thread = models.BooleanField(default=False)  # checkpoints may exist; deleted some time after the task has ended
    counted = models.BooleanField(default=False)  # the figures of `metrics` include its end

    request_id = models.CharField(_("request"), max_length=128, blank=True)  # of the HTTP request that submitted it
    traceparent = models.CharField(max_length=55, blank=True)  # W3C Trace Context of that request

    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated"), db_default=Now(), editable=False)  # when the status last changed

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        constraints = (
            # Also the index for the admin's search, so it begins with the client's id.
            models.UniqueConstraint(fields=("task_id", "session"), name="one_task_per_id_and_session"),
            # Also the index for the queue and the conversation.
            models.UniqueConstraint(fields=("session", "position"), name="one_task_per_position_and_session"),
            models.UniqueConstraint(
                fields=("session",),
                condition=Q(status__in=[Status.PENDING, Status.RUNNING, Status.INTERRUPTED]),
                name="one_active_task_per_session",
            ),
        )
        indexes = (
            # For the sweeper and the figures of `metrics`: holds only tasks that are unfinished or have just ended. A
            # condition on the status would not do, because SQLite uses no such index if the status is a parameter.
            models.Index(fields=("status",), condition=Q(counted=False), name="task_uncounted"),
            # For counting tasks in flight at each submission. Not partial, as SQLite would scan the table all the same.
            models.Index(fields=("user_id", "status"), name="task_flight_user"),
            models.Index(fields=("submitted_by", "status"), name="task_flight_principal"),
            models.Index(fields=("-updated_at",), name="task_recent"),  # the admin's list
            models.Index(fields=("status", "-updated_at"), name="task_by_status"),  # its filters, counts, GET /metrics
            models.Index(fields=("agent", "-updated_at"), name="task_by_agent"),  # its filters
            # GET /agent/active/sessionid, and the most recently active users in GET /system/info
            models.Index(fields=("user_id", "-updated_at"), name="task_by_user"),
            # For the sweeper, which wakes tasks that a pause has held: holds only such tasks.
            models.Index(fields=("status",), condition=~Q(held_tool=""), name="task_held"),
            # For the sweeper, which deletes the checkpoints of tasks that ended a while ago.
            models.Index(fields=("status", "updated_at"), condition=Q(has_thread=True), name="task_checkpoints"),
        )

    @override
    def __str__(self) -> str:
        return f"{self.session} / {self.task_id}"

    @property
    def wire_status(self) -> str:
        """Status that clients see. `queued` is internal and shown as `pending`."""
        return Status.PENDING.value if self.status == Status.QUEUED else str(self.status)


class IdempotencyKey(models.Model):
    """A submission's `Idempotency-Key`. For a day, the same key from one principal means the same task."""

    principal = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=64)
    task = models.ForeignKey(Task, models.CASCADE, null=True, related_name="+")  # null only while it is being created
    created_at = models.DateTimeField(db_default=Now(), db_index=True)  # the housekeeping deletes old keys

    class Meta:
        constraints = (models.UniqueConstraint(fields=("principal", "key"), name="one_use_per_idempotency_key"),)

    @override
    def __str__(self) -> str:
        return self.key
