"""Sessions, tasks and what happens in them. Data only: `lifecycle` changes a task, `ledger` a tool call."""

import json
import uuid
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from typing_extensions import override

from agents.frozen_terms import FrozenTerm
from agents.models.pauses import Pause as Pause
from core.db.clock import Now

ID_LENGTH = 128


class Status(models.TextChoices):
    """Of a task. The transitions are in `agents.state.transitions`."""

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
        )
        constraints = (models.UniqueConstraint(fields=("user_id", "session_id"), name="one_session_per_id_and_user"),)
        indexes = (
            models.Index(fields=("user_id", "-created_at"), name="session_list"),  # GET /agent/sessionids
            models.Index(fields=("created_at", "id"), name="session_age"),  # what is old enough to be deleted
        )

    @override
    def __str__(self) -> str:
        return f"{self.user_id} / {self.session_id}"


class Task(models.Model):
    """One thing a user asked for: one run of the graph on the LangGraph thread `id`, possibly paused and resumed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey(Session, models.CASCADE, related_name="tasks", verbose_name=_("session"))
    task_id = models.CharField(_("task"), max_length=ID_LENGTH)
    user_id = models.CharField(max_length=ID_LENGTH, editable=False)  # the session's: an index can't look there
    position = models.PositiveIntegerField(editable=False)  # in the session, from 1: the clock can tie
    query = models.TextField(_("query"))
    system_message = models.TextField(_("system message"), blank=True)
    agent = models.CharField(_("agent"), max_length=100, default="default")
    request_digest = models.CharField(max_length=64, editable=False)  # the same body again starts nothing
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
    result = models.JSONField(_("result"), null=True, encoder=DjangoJSONEncoder)  # of a completed one: its messages
    recalled = models.JSONField(_("recalled memories"), null=True)  # [{id, text, kind}]; null until it first starts

    token = models.PositiveIntegerField(default=0)  # of the newest attempt; only fences
    lapses = models.PositiveIntegerField(default=0)  # leases lapsed in a row without a new checkpoint
    last_checkpoint = models.CharField(max_length=64, blank=True)  # its id when the last attempt lapsed
    run_seconds = models.FloatField(default=0)  # spent in ended attempts: waiting for people does not count
    published_at = models.DateTimeField(null=True)  # when its job last was, while pending
    # The call in front of which a pause stopped it; the database fills it for a release that does not know it yet.
    held_tool = models.CharField(max_length=200, blank=True, default="", db_default="")
    has_thread = models.BooleanField(default=False)  # checkpoints may exist; they go when the task has ended
    counted = models.BooleanField(default=False)  # its end is in the figures of `metrics`

    request_id = models.CharField(_("request"), max_length=128, blank=True)  # of the HTTP request that submitted it
    traceparent = models.CharField(max_length=55, blank=True)  # W3C Trace Context of that request

    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated"), db_default=Now(), editable=False)  # when the status last changed

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        constraints = (
            models.UniqueConstraint(fields=("session", "task_id"), name="one_task_per_id_and_session"),
            # Also the index of the queue and the conversation.
            models.UniqueConstraint(fields=("session", "position"), name="one_task_per_position_and_session"),
            models.UniqueConstraint(
                fields=("session",),
                condition=Q(status__in=[Status.PENDING, Status.RUNNING, Status.INTERRUPTED]),
                name="one_active_task_per_session",
            ),
        )
        indexes = (
            models.Index(fields=("session", "created_at"), name="task_order"),  # GET /agent/tasks
            # The sweeper. Whole, as SQLite uses no partial index for a status that is a parameter.
            models.Index(fields=("status", "published_at"), name="task_sweep"),
            # What is in flight, counted with each submission. Not partial: SQLite would scan the table all the same.
            models.Index(fields=("user_id", "status"), name="task_flight_user"),
            models.Index(fields=("submitted_by", "status"), name="task_flight_principal"),
            models.Index(fields=("-updated_at",), name="task_recent"),  # the admin's list, GET /agent/active/sessionid
            models.Index(fields=("status",), condition=Q(has_thread=True), name="task_thread"),  # the sweeper's tidying
            # All unfinished tasks and those that have just ended, however many are stored: the figures of `metrics`.
            models.Index(fields=("status",), condition=Q(counted=False), name="task_uncounted"),
        )

    @override
    def __str__(self) -> str:
        return f"{self.session} / {self.task_id}"

    @property
    def wire_status(self) -> str:
        """The status word clients see: `queued` is inside only."""
        return Status.PENDING.value if self.status == Status.QUEUED else str(self.status)


class IdempotencyKey(models.Model):
    """A submission's `Idempotency-Key`: for a day the same one by the same principal is the same task."""

    principal = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=64)
    task = models.ForeignKey(Task, models.CASCADE, null=True, related_name="+")  # null only while it is being made
    created_at = models.DateTimeField(db_default=Now(), db_index=True)  # the housekeeping looks for old ones

    class Meta:
        constraints = (models.UniqueConstraint(fields=("principal", "key"), name="one_use_per_idempotency_key"),)

    @override
    def __str__(self) -> str:
        return self.key


class Attempt(models.Model):
    """One worker's claim on a task. It may write while it is open: `ended_at` is null."""

    class Outcome(models.TextChoices):
        FINISHED = "finished", _("Finished")  # the task completed
        PAUSED = "paused", _("Paused")  # the graph asked
        FAILED = "failed", _("Failed")  # the task is an error
        RELEASED = "released", _("Released")  # handed over while the worker drained
        HELD = "held", _("Held")  # a pause stopped the task
        LAPSED = "lapsed", _("Lapsed")  # the lease ran out: the worker died or stalled
        VOIDED = "voided", _("Voided")  # the task was cancelled under it

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.ForeignKey(Task, models.CASCADE, related_name="attempts", verbose_name=_("task"))
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


class Interrupt(models.Model):
    """A question that stops a task until it is answered. Deciding it is the business of `reviews`.

    The row is found by (task, message, call, kind, round): a tool call's id alone can come again in a later turn.
    """

    class Kind(models.TextChoices):
        TOOL_CALL = "tool_call", _("Tool call")  # may this call run?
        QUESTION = "question", _("Question")  # the graph itself asks
        IN_DOUBT = "in_doubt", _("In doubt")  # the call may have run: what happened?

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        APPROVED = "approved", _("Approved")
        EDITED = "edited", _("Edited")
        RESPONDED = "responded", _("Responded")
        REJECTED = "rejected", _("Rejected")
        EXPIRED = "expired", _("Expired")  # closed by the system as its terms say
        CANCELLED = "cancelled", _("Cancelled")  # its task ended first

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.ForeignKey(Task, models.CASCADE, related_name="interrupts", verbose_name=_("task"))
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    message_id = models.CharField(max_length=200)  # of the model's message that holds the call
    tool_call_id = models.CharField(max_length=200)
    round = models.PositiveIntegerField(default=0)  # counts up when the same thing is asked again
    graph_id = models.CharField(max_length=64)  # LangGraph's id, the address of the wake-up call

    tool = models.CharField(_("tool"), max_length=200, blank=True)
    args_text = models.TextField(_("arguments"))  # canonical JSON; a question's payload
    verdict_text = models.TextField()  # canonical JSON of the policy's verdict, frozen when it was asked
    # Who may decide it, read from the verdict by the database: `reviews.decisions.permissions` filters by these two.
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
    said = models.TextField(_("the agent's words"), blank=True)  # what the model wrote beside the call
    risk = models.CharField(_("risk"), max_length=10, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True)
    on_expiry = models.CharField(max_length=10, default="reject")  # or "wait": it is overdue, and stays open

    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.PENDING)
    version = models.PositiveIntegerField(default=1)  # changes with whatever a reviewer would see
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
            models.Index(fields=("status", "created_at"), name="interrupt_queue"),  # GET /reviews, the pending badge
            models.Index(fields=("status", "expires_at", "created_at", "id"), name="interrupt_desk"),  # soonest expiry
            models.Index(
                fields=("expires_at",), condition=Q(status="pending", on_expiry="reject"), name="interrupt_expiry"
            ),
        )

    @override
    def __str__(self) -> str:
        return f"{self.tool or self.get_kind_display()} ({self.task})"

    @property
    def args(self) -> Any:
        """The arguments that were asked about; a question's payload."""
        return json.loads(self.args_text)


class ToolCall(models.Model):
    """The ledger: one row a call that was let through, entered before the tool runs."""

    class Status(models.TextChoices):
        STARTED = "started", _("Started")  # runs now, or its worker died in it: then it is in doubt
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")  # it did not happen

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # also the idempotency key
    task = models.ForeignKey(Task, models.CASCADE, related_name="tool_calls", verbose_name=_("task"))
    message_id = models.CharField(max_length=200)
    tool_call_id = models.CharField(max_length=200)
    tool = models.CharField(_("tool"), max_length=200)
    args_text = models.TextField(_("arguments"))
    args_digest = models.CharField(max_length=64)
    reviewed = models.BooleanField(_("reviewed"), default=False)
    # The key of the call that made it: a sub-agent's tool. Not a foreign key: that row is taken back at each pause.
    outer = models.UUIDField(null=True, editable=False)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.STARTED)
    attempt = models.ForeignKey(Attempt, models.SET_NULL, null=True, related_name="+", verbose_name=_("attempt"))
    runs = models.PositiveIntegerField(_("runs"), default=1)  # >1 only by a person's word or an idempotent tool
    doubtful = models.BooleanField(_("in doubt"), default=False)  # raised an error that does not say what happened
    result_text = models.TextField(_("result"), blank=True)
    started_at = models.DateTimeField(_("started"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("tool call")
        verbose_name_plural = _("tool calls")
        constraints = (
            models.UniqueConstraint(fields=("task", "message_id", "tool_call_id"), name="one_ledger_row_per_call"),
        )
        indexes = (models.Index(fields=("-started_at",), name="tool_call_recent"),)  # the admin's list

    @override
    def __str__(self) -> str:
        return f"{self.tool} ({self.task})"

    @property
    def args(self) -> Any:
        """The arguments as they ran."""
        return json.loads(self.args_text)

    @property
    def result(self) -> Any:
        """What the model was told: any JSON value, "" where there is nothing yet."""
        try:
            kept = json.loads(self.result_text or '""')
        except ValueError:
            return self.result_text
        return kept.get("content", "") if isinstance(kept, dict) else self.result_text


class Chore(models.Model):
    """A periodic duty that one worker does at a time: whoever moves `due_at` on has it."""

    name = models.CharField(max_length=40, primary_key=True)
    due_at = models.DateTimeField(db_default=Now())

    @override
    def __str__(self) -> str:
        return self.name


class WorkerProcess(models.Model):
    """A worker process that lives: its heartbeat writes here."""

    name = models.CharField(_("name"), max_length=200, primary_key=True)
    beat_at = models.DateTimeField(_("last heartbeat"), db_default=Now())
    listened_at = models.DateTimeField(_("last listened to the broker"), null=True, blank=True)

    class Meta:
        verbose_name = _("worker process")
        verbose_name_plural = _("worker processes")

    @override
    def __str__(self) -> str:
        return self.name


class Measure(models.Model):
    """A sum over all worker processes since the service was set up: one row of what `metrics` counts."""

    name = models.CharField(max_length=80)
    labels = models.CharField(max_length=1500)  # canonical JSON: their values; a histogram's row ends with its bucket
    value = models.FloatField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("name", "labels"), name="one_measure_per_name_and_labels"),)

    @override
    def __str__(self) -> str:
        return f"{self.name} {self.labels}"
