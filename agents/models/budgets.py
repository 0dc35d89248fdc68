"""Budgets and what was counted against them. Data only: `state.budgets` counts, `reviews.budgets` writes the rows."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models.interrupts import Interrupt
from agents.models.pauses import VALUE_LENGTH
from agents.models.tasks import Task
from core.db.clock import Now
from core.db.exact import ExactDecimalField
from core.text import visible

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)  # beginning of the only period of a budget per task


class Budget(models.Model):
    """Limit on what tasks may use in a period. `scope` and `value` say whose use is added up."""

    class Scope(models.TextChoices):
        EVERYTHING = "everything", _("Everything")
        AGENT = "agent", _("Agent")
        USER = "user", _("User")
        EACH_USER = "each_user", _("Each user")
        SESSION = "session", _("Session")  # each one, or those with this session_id
        TASK = "task", _("Task")  # each one, or those with this task_id

    class Unit(models.TextChoices):
        MODEL_CALLS = "model_calls", _("Model calls")
        TOOL_CALLS = "tool_calls", _("Tool calls")
        TOKENS = "tokens", _("Tokens")  # of input and output
        MONEY = "money", _("Money")  # in MODEL_CURRENCY

    class Period(models.TextChoices):
        TASK = "task", _("Task")  # each task by itself, however long it takes
        DAY = "day", _("Day")  # UTC
        MONTH = "month", _("Month")  # UTC

    class Breach(models.TextChoices):
        ASK = "ask", _("Ask")
        STOP = "stop", _("Stop the task")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100)
    enabled = models.BooleanField(_("enabled"), default=True)
    scope = models.CharField(_("scope"), max_length=12, choices=Scope, default=Scope.TASK)
    value = models.CharField(_("name of the agent, user, session or task"), max_length=VALUE_LENGTH, blank=True)
    unit = models.CharField(_("unit"), max_length=12, choices=Unit, default=Unit.MODEL_CALLS)
    period = models.CharField(_("period"), max_length=8, choices=Period, default=Period.TASK)
    limit = ExactDecimalField(_("limit"))
    # Of tokens or money: what a call counts as whose usage or price is not known. A zero would let it pass unseen.
    assumed = ExactDecimalField(_("count of an unknown call"), default=Decimal(0))
    warning_share = models.PositiveSmallIntegerField(
        _("warn at (percent)"), default=80, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    breach = models.CharField(_("when it is used up"), max_length=4, choices=Breach, default=Breach.ASK)
    deciders = models.ForeignKey(
        Group, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("deciders")
    )  # None: all reviewers
    requester_may_extend = models.BooleanField(_("requesters may extend it themselves"), default=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        constraints = (
            models.CheckConstraint(
                condition=Q(scope__in=("everything", "each_user"), value="")
                | (Q(scope__in=("agent", "user")) & ~Q(value=""))
                | Q(scope__in=("session", "task")),
                name="a_budget_names_whose_it_is",
            ),
            models.CheckConstraint(condition=Q(limit__gt=0), name="a_budget_has_a_limit"),
        )

    @override
    def __str__(self) -> str:
        return visible(self.name)

    def applies_to(self, task: Task) -> bool:
        """Return whether the task's calls count against this budget."""
        names = {
            self.Scope.AGENT: task.agent,
            self.Scope.USER: task.user_id,
            self.Scope.SESSION: task.session.session_id if self.value else "",
            self.Scope.TASK: task.task_id if self.value else "",
        }
        return self.scope not in names or names[self.Scope(self.scope)] == self.value

    def subject_of(self, task: Task) -> str:
        """Return whose use is added up: the internal id of a task or session, a user's, or "" for one sum of all."""
        if self.period == self.Period.TASK or self.scope == self.Scope.TASK:
            return str(task.pk)
        if self.scope == self.Scope.SESSION:
            return str(task.session_id)
        return str(task.user_id) if self.scope == self.Scope.EACH_USER else ""

    def period_at(self, moment: datetime) -> datetime:
        """Return the beginning of the period in which this moment lies."""
        if self.period == self.Period.TASK:
            return ALWAYS
        day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day if self.period == self.Period.DAY else day.replace(day=1)


class BudgetUse(models.Model):
    """Use of a budget by one subject in one period. Its lock is held while a call is checked and entered."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    budget = models.ForeignKey(Budget, models.CASCADE, related_name="uses", db_index=False)
    subject = models.CharField(max_length=VALUE_LENGTH, blank=True)  # see Budget.subject_of
    period_start = models.DateTimeField()
    task = models.ForeignKey(  # if it is the subject
        Task,
        models.CASCADE,
        null=True,
        related_name="+",
        db_constraint=False,  # so that a process of the code before this table can delete a task
    )
    # What calls before `counted_until` add up to; none of them changes any more.
    counted = ExactDecimalField(default=Decimal(0))
    counted_until = models.DateTimeField()
    extended = ExactDecimalField(default=Decimal(0))  # the sum of its extensions
    warned_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("use of a budget")
        verbose_name_plural = _("uses of budgets")
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("budget", "subject", "period_start"), name="one_use_per_budget_and_period"),
        )
        indexes = (models.Index(fields=("period_start",), name="budget_use_by_age"),)  # the housekeeping

    @override
    def __str__(self) -> str:
        return f"{self.budget_id} {self.period_start:%Y-%m-%d}"


class BudgetExtension(models.Model):
    """Extension of a budget for one subject and period, decided by a person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    use = models.ForeignKey(BudgetUse, models.CASCADE, related_name="extensions")
    review = models.OneToOneField(  # so that a decision extends it once
        Interrupt, models.SET_NULL, null=True, related_name="+", db_constraint=False
    )
    amount = ExactDecimalField(_("amount"))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    by_name = models.CharField(_("by"), max_length=150)  # kept when the account is deleted
    created_at = models.DateTimeField(_("extended"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("extension of a budget")
        verbose_name_plural = _("extensions of budgets")
        default_permissions = ()

    @override
    def __str__(self) -> str:
        return f"{self.amount} · {self.by_name}"
