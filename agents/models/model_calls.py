"""Calls of models, and their sums by day. Data only: `state.model_calls` and `maintenance.usage` write them."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models.sessions import ID_LENGTH
from agents.models.tasks import Task
from core.db.clock import Now
from core.db.exact import ExactDecimalField
from core.text import visible

MODEL_LENGTH = 200  # characters of a model's name that are kept


class ModelCall(models.Model):
    """One request to a model's endpoint. It is entered before it is sent, and outlives its task: it has cost money.

    What an endpoint has not said is null, and never 0.
    """

    class Outcome(models.TextChoices):
        STARTED = "started", _("Started")  # sent; no answer yet
        ANSWERED = "answered", _("Answered")
        FAILED = "failed", _("Failed")  # the endpoint refused it, or was not reached: it cost nothing
        UNKNOWN = "unknown", _("Unknown")  # no whole answer came: it may have cost something

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.ForeignKey(
        Task,
        models.SET_NULL,
        null=True,
        related_name="model_calls",
        db_index=False,  # `model_call_by_step` begins with it
        db_constraint=False,  # so that a process of the code before this table can delete a task
        verbose_name=_("task"),
    )
    # Copied from the task, which may be deleted. Both are "" once the user was erased.
    user_id = models.CharField(_("user"), max_length=ID_LENGTH, blank=True)
    session_id = models.CharField(_("session"), max_length=ID_LENGTH, blank=True)
    agent = models.CharField(_("agent"), max_length=100)
    attempt = models.PositiveIntegerField(_("attempt"))  # its token
    model = models.CharField(_("model"), max_length=MODEL_LENGTH)  # as it was asked for
    step = models.CharField(max_length=64)  # digest: identifies the graph's step, over all attempts at it
    repeats = models.BooleanField(_("repeats an earlier call"), default=False)  # of the same step
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome, default=Outcome.STARTED)

    input_tokens = models.BigIntegerField(_("input tokens"), null=True)  # with the cached ones
    cached_tokens = models.BigIntegerField(_("cached input tokens"), null=True)
    output_tokens = models.BigIntegerField(_("output tokens"), null=True)  # with those of reasoning
    reasoning_tokens = models.BigIntegerField(_("reasoning tokens"), null=True)
    seconds = models.FloatField(_("seconds"), null=True)
    cost = ExactDecimalField(_("cost"), null=True)  # by the price at the time; null without one, or without tokens
    started_at = models.DateTimeField(_("started"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("model call")
        verbose_name_plural = _("model calls")
        default_permissions = ("view",)
        indexes = (
            models.Index(fields=("task", "step"), name="model_call_by_step"),  # sums of a task, repeated calls
            models.Index(fields=("user_id", "session_id"), name="model_call_by_session"),  # sums, export, erasure
            models.Index(fields=("-started_at",), name="model_call_recent"),  # the admin's list, sums of the last hour
            models.Index(fields=("model", "-started_at"), name="model_call_by_model"),  # its filter
            # For the sweeper: holds only calls without an answer.
            models.Index(fields=("started_at",), condition=models.Q(finished_at=None), name="model_call_open"),
        )

    @override
    def __str__(self) -> str:
        return visible(f"{self.model} ({self.pk})")


class DayUsage(models.Model):
    """Sums of the calls of one day (UTC) by one user with one agent and model, without those of the last minutes."""

    day = models.DateField()
    user_id = models.CharField(max_length=ID_LENGTH, blank=True)  # "": of erased users
    agent = models.CharField(max_length=100)
    model = models.CharField(max_length=MODEL_LENGTH)
    calls = models.BigIntegerField()
    repeats = models.BigIntegerField()
    failed = models.BigIntegerField()
    unknown = models.BigIntegerField()  # calls that may have cost something, but nobody knows what
    unpriced = models.BigIntegerField()  # calls with tokens, but without a price
    input_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    seconds = models.FloatField()
    cost = ExactDecimalField(null=True)  # null: no call has a price

    class Meta:
        verbose_name = _("usage of a day")
        verbose_name_plural = _("usage by day")
        default_permissions = ()
        constraints = (
            # Also the index for one user's usage.
            models.UniqueConstraint(fields=("user_id", "day", "agent", "model"), name="one_usage_per_day_and_user"),
        )
        indexes = (models.Index(fields=("day",), name="usage_by_day"),)

    @override
    def __str__(self) -> str:
        return visible(f"{self.day} {self.user_id} {self.agent} {self.model}")
