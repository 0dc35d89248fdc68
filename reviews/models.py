"""Models for reviews, decisions, policy rules, claims and the audit log."""

import uuid
from dataclasses import fields
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from typing_extensions import override

from agents.models import ID_LENGTH, Interrupt, Session
from agents.policy import DAY, GROUP, REQUESTER, RESPONSE_TYPES, REVIEWERS, Terms
from core.db.clock import Now
from core.text import visible
from reviews.policy import conditions
from reviews.policy.conditions import Condition

SOONEST_FIRST = (F("expires_at").asc(nulls_last=True), "created_at", "pk")  # the queue's order of reviews


class Review(Interrupt):
    """Proxy of Interrupt for the admin queue, with its own permissions."""

    class Meta:
        proxy = True
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        permissions = (("decide_review", gettext_noop("Can decide reviews")),)

    @override
    def __str__(self) -> str:
        return f"{self.tool or self.get_kind_display()} · {self.task.session.user_id}"


class Decision(models.Model):
    """One decision on a review, kept as history. The run acts on the answer stored on the interrupt itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.ForeignKey(
        Interrupt,
        models.CASCADE,
        related_name="decisions",
        db_index=False,  # `one_decision_per_review` is its index
        verbose_name=_("review"),
    )
    response_type = models.CharField(_("decision"), max_length=16)  # accept, edit, response, reject
    args_text = models.TextField(_("arguments"), blank=True)
    message = models.TextField(_("message"), blank=True)
    override_reason = models.TextField(_("reason for the override"), blank=True)  # of separation of duties
    version = models.PositiveIntegerField(_("version"))  # of the review that was decided
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by"))
    by_name = models.CharField(_("by"), max_length=150)  # kept when the account is deleted; "system" for an expiry
    created_at = models.DateTimeField(_("decided"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        # One decision per review, even if the services have a bug.
        constraints = (models.UniqueConstraint(fields=("review",), name="one_decision_per_review"),)
        indexes = (models.Index(fields=("-created_at",), name="decision_recent"),)  # the dashboard

    @override
    def __str__(self) -> str:
        return f"{self.response_type} · {self.by_name}"


class PolicyRuleSet(models.QuerySet["PolicyRule"]):
    """Queryset of policy rules, in the order of the model."""

    def in_force(self) -> "PolicyRuleSet":
        """Return the rules that apply now: enabled, within their time window and not used up."""
        begun = Q(starts_at=None) | Q(starts_at__lte=Now())
        not_over = Q(ends_at=None) | Q(ends_at__gt=Now())
        left = Q(use_limit=None) | Q(uses__lt=F("use_limit"))
        return self.filter(begun & not_over & left, enabled=True)

    def for_session(self, session: str) -> "PolicyRuleSet":
        """Return the rules of all sessions and those of this one (our own id; "" if there is none)."""
        return self.filter(Q(session=None) | Q(session=session) if session else Q(session=None))


def only_reviewers() -> list[str]:
    """Return the deciders of a rule that names none."""
    return [REVIEWERS]


def every_response() -> list[str]:
    """Return the decisions that a rule allows by default."""
    return list(RESPONSE_TYPES)


class PolicyRule(models.Model):
    """One rule of the policy. A matching deny wins; otherwise the first match by position applies.

    A rule is disabled, not deleted, because the audit log refers to it by id. Only an "always allow" is deleted, with
    its session or when its user's data is erased.
    """

    class Effect(models.TextChoices):
        ALLOW = "allow", _("Allow")  # runs without a review
        DENY = "deny", _("Deny")  # does not run; the model gets a denial
        REVIEW = "review", _("Review")  # under the rule's terms, not those that the tool declares

    class Risk(models.TextChoices):
        LOW = "low", _("Low")
        MEDIUM = "medium", _("Medium")
        HIGH = "high", _("High")

    class OnExpiry(models.TextChoices):
        REJECT = "reject", _("Reject")
        WAIT = "wait", _("Keep waiting")

    position = models.IntegerField(_("position"), default=100)  # ascending; ties in order of creation
    name = models.CharField(_("name"), max_length=100)
    enabled = models.BooleanField(_("enabled"), default=True)
    effect = models.CharField(_("effect"), max_length=8, choices=Effect, default=Effect.REVIEW)

    tool = models.CharField(_("tool"), max_length=200, default="*")  # these three are patterns with * ? [abc] [!abc]
    user = models.CharField(_("user"), max_length=ID_LENGTH, default="*")
    agent = models.CharField(_("agent"), max_length=100, default="*")
    session = models.ForeignKey(Session, models.CASCADE, null=True, blank=True, editable=False, related_name="+")
    conditions = models.JSONField(_("conditions"), default=list, blank=True)  # format: reviews.policy.conditions
    starts_at = models.DateTimeField(_("from"), null=True, blank=True)
    ends_at = models.DateTimeField(_("until"), null=True, blank=True)
    use_limit = models.PositiveIntegerField(
        _("use limit"), null=True, blank=True, validators=[MinValueValidator(1)]
    )  # of an allow: how many calls in total
    uses = models.PositiveIntegerField(_("uses"), default=0, editable=False)  # calls let through so far
    reason = models.CharField(_("reason"), max_length=300, blank=True)  # of a denial; shown to the model

    risk = models.CharField(_("risk"), max_length=8, choices=Risk, default=Risk.MEDIUM)
    deciders = models.JSONField(_("deciders"), default=only_reviewers)  # as in agents.policy.Terms
    distinct = models.BooleanField(_("requester and decider must differ"), default=False)
    seconds = models.FloatField(
        _("time to decide (seconds)"), default=7 * DAY, validators=[MinValueValidator(60), MaxValueValidator(365 * DAY)]
    )
    on_expiry = models.CharField(_("on expiry"), max_length=8, choices=OnExpiry, default=OnExpiry.REJECT)
    allowed = models.JSONField(_("allowed decisions"), default=every_response)

    made_from = models.UUIDField(_("created from review"), null=True, editable=False)  # of an "always allow"
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects: ClassVar[Any] = PolicyRuleSet.as_manager()

    class Meta:
        verbose_name = _("policy rule")
        verbose_name_plural = _("policy rules")
        ordering = ("position", "pk")
        constraints = (
            # A deny with a limit would let calls through once it is used up.
            models.CheckConstraint(condition=Q(use_limit=None) | Q(effect="allow"), name="only_an_allow_is_used_up"),
        )

    @override
    def __str__(self) -> str:
        # No translatable words: the text is stored with each verdict and covered by its digest.
        return f"#{self.pk}: {visible(self.name)}" if self.pk else visible(self.name)

    def terms(self) -> Terms:
        """Return the terms under which this rule has a call reviewed."""
        values = {field.name: getattr(self, field.name) for field in fields(Terms)}
        return Terms(**{**values, "deciders": tuple(self.deciders), "allowed": tuple(self.allowed)})

    def checked_conditions(self) -> list[Condition]:
        """Return the validated conditions. Raises ValueError if the admin would not have stored them."""
        return conditions.checked(self.conditions)

    @override
    def clean(self) -> None:
        """Validate the rule. Raises ValidationError."""
        wrong: dict[str, Any] = {}
        try:
            self.checked_conditions()
        except ValueError as error:
            wrong["conditions"] = str(error)
        if self.use_limit is not None and self.effect != self.Effect.ALLOW:
            wrong["use_limit"] = _("Only an allow rule can have a use limit.")
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            wrong["ends_at"] = _("The end must be later than the start.")
        if not self.deciders or not all(map(_is_decider, self.deciders)):
            wrong["deciders"] = _("Enter requester, reviewers, or group: followed by the name of an existing group.")
        if not self.allowed or not set(self.allowed) <= set(RESPONSE_TYPES):
            wrong["allowed"] = _("Select at least one of accept, edit, response and reject.")
        if wrong:
            raise ValidationError(wrong)


def _is_decider(name: Any) -> bool:
    if name in (REQUESTER, REVIEWERS):
        return True
    is_group = isinstance(name, str) and name.startswith(GROUP)
    return is_group and Group.objects.filter(name=name.removeprefix(GROUP)).exists()


class AuditEntry(models.Model):
    """Record of who did what, and when. Database triggers keep the table append-only (reviews.audit.append_only).

    It holds internal ids and salted digests, but no text that users wrote and no foreign keys, so an entry stays
    and stays true when the objects it refers to are deleted.
    """

    class Verb(models.TextChoices):
        DECIDED = "decided", _("Decided")  # with `outcome`
        EXPIRED = "expired", _("Expired")
        OVERRIDDEN = "overridden", _("Separation of duties overridden")  # by a superuser; a second entry per decision
        CLAIMED = "claimed", _("Claimed")
        TAKEN_OVER = "taken_over", _("Claim taken over")
        RELEASED = "released", _("Claim released")
        RULE_CREATED = "rule_created", _("Rule created")
        RULE_CHANGED = "rule_changed", _("Rule changed")
        RULE_ENABLED = "rule_enabled", _("Rule switched on")
        RULE_DISABLED = "rule_disabled", _("Rule switched off")
        LET_THROUGH = "let_through", _("Let through by a rule")  # the call was recorded in the ledger without a review
        DENIED = "denied", _("Denied by the policy")  # when it was about to run; it has no ledger row
        PAUSED = "paused", _("Paused")  # everything, an agent, a tool or a user
        RESUMED = "resumed", _("Resumed")
        BUDGET_CREATED = "budget_created", _("Budget created")
        BUDGET_CHANGED = "budget_changed", _("Budget changed")
        BUDGET_DELETED = "budget_deleted", _("Budget deleted")
        BUDGET_EXTENDED = "budget_extended", _("Budget extended")

    class Kind(models.TextChoices):
        REVIEW = "review", _("Review")
        RULE = "rule", _("Policy rule")
        TOOL_CALL = "tool_call", _("Tool call")
        PAUSE = "pause", _("Pause")
        BUDGET = "budget", _("Budget")

    at = models.DateTimeField(_("time"), db_default=Now(), editable=False)
    verb = models.CharField(_("action"), max_length=16, choices=Verb)
    outcome = models.CharField(_("outcome"), max_length=16, blank=True)  # of a decision: the review's new status
    actor = models.CharField(_("who"), max_length=150)  # username, "system", or a host: "system:…", "manage.py:…"
    actor_id = models.BigIntegerField(_("user id"), null=True)  # null: the system, or a person at a host
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    object_id = models.CharField(_("object"), max_length=36)  # of what `kind` says
    version = models.PositiveIntegerField(_("version"), null=True)  # of the review at that time
    task = models.UUIDField(_("task"), null=True)
    rule = models.BigIntegerField(_("rule"), null=True)  # that gave the verdict or was changed
    tool = models.CharField(_("tool"), max_length=200, blank=True)
    args_digest = models.CharField(_("arguments digest"), max_length=64, blank=True)  # or of a rule or pause
    text_digest = models.CharField(_("text digest"), max_length=64, blank=True)  # of a reason or an answer

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        ordering = ("-pk",)
        indexes = (
            models.Index(fields=("object_id",), name="audit_object"),  # the admin's search
            models.Index(fields=("task",), name="audit_task"),
            models.Index(fields=("actor", "-id"), name="audit_actor"),
            models.Index(fields=("rule", "-id"), name="audit_rule"),
            models.Index(fields=("verb", "-id"), name="audit_verb"),  # the admin's filters
            models.Index(fields=("outcome", "-id"), name="audit_outcome"),
        )

    @override
    def __str__(self) -> str:
        return f"{self.pk}: {self.get_verb_display()}"


class Claim(models.Model):
    """Soft lease that shows others who is looking at a review. It neither grants nor removes a right."""

    review = models.OneToOneField(Interrupt, models.CASCADE, primary_key=True, related_name="claim")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("by"))
    until = models.DateTimeField(_("until"))  # the claim has no effect after this

    class Meta:
        verbose_name = _("claim")
        verbose_name_plural = _("claims")

    @override
    def __str__(self) -> str:
        return f"{self.by.get_username()} · {self.review_id}"
