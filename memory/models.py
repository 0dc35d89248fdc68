"""Memories of users beyond their sessions. Data only: `memory.services` changes a memory's status."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from core import identifiers
from core.db.clock import Now
from core.text import shortened

TEXT_LIMIT = 4_000  # characters of one memory
KEY_LIMIT = 255  # characters of a LangGraph store's key


class MemoryQuerySet(models.QuerySet["Memory"]):
    """Queries for memories by how they may be used."""

    def usable(self) -> "MemoryQuerySet":
        """Return memories that an agent may recall: active, begun, not ended or expired, by the database's clock."""
        return self.filter(
            Q(valid_until=None) | Q(valid_until__gt=Now()),
            Q(expires_at=None) | Q(expires_at__gt=Now()),
            status=Memory.Status.ACTIVE,
            valid_from__lte=Now(),
        )

    def lapsed(self) -> "MemoryQuerySet":
        """Return the active and pending memories that have ended or expired."""
        return self.filter(Q(valid_until__lte=Now()) | Q(expires_at__lte=Now()), status__in=OPEN)


class Memory(models.Model):
    """One fact about one user."""

    class Kind(models.TextChoices):
        FACT = "fact", _("Fact")  # something that is so
        PREFERENCE = "preference", _("Preference")  # how the user likes things
        INSTRUCTION = "instruction", _("Instruction")  # what the user wants done each time
        EPISODE = "episode", _("Episode")  # something that happened

    class Scope(models.TextChoices):
        USER = "user", _("User")  # wherever this user is served
        SESSION = "session", _("Session")  # only in the session that `scope_ref` names
        AGENT = "agent", _("Agent")  # only by the agent that `scope_ref` names

    class Source(models.TextChoices):
        API = "api", _("API")  # the client wrote it
        AGENT = "agent", _("Agent")  # a model wrote it, by a tool or a LangGraph store
        EXTRACTION = "extraction", _("Extraction")  # a model found it in a finished task
        ADMIN = "admin", _("Admin")  # a person wrote it in the admin

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")  # may be recalled
        PENDING = "pending", _("Pending approval")  # waits for a person; not recalled
        SUPERSEDED = "superseded", _("Superseded")  # replaced by a newer one: history
        FORGOTTEN = "forgotten", _("Forgotten")  # rejected, forgotten or lapsed: history

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.CharField(_("user"), max_length=identifiers.MAX_LENGTH)
    text = models.TextField(_("text"), max_length=TEXT_LIMIT)
    text_key = models.CharField(max_length=64, editable=False)  # `services.text_key`: what counts as the same text
    kind = models.CharField(_("kind"), max_length=16, choices=Kind, default=Kind.FACT)
    scope = models.CharField(_("scope"), max_length=16, choices=Scope, default=Scope.USER)
    scope_ref = models.CharField(_("scope name"), max_length=identifiers.MAX_LENGTH, blank=True)  # "" for a user
    key = models.CharField(max_length=KEY_LIMIT, blank=True, editable=False)  # in a LangGraph store; "" is the id

    source = models.CharField(_("source"), max_length=16, choices=Source)
    source_task_id = models.UUIDField(_("source task"), null=True, blank=True)  # agents.Task.pk, which may be gone
    status = models.CharField(_("status"), max_length=16, choices=Status)
    supersedes = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="superseded_by", verbose_name=_("supersedes")
    )  # while pending: the memory that it will supersede once approved
    valid_from = models.DateTimeField(_("valid from"), db_default=Now())
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True)  # null: until further notice
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)  # null: never

    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    use_count = models.PositiveIntegerField(_("uses"), default=0, editable=False)  # times it was recalled
    embedding = models.BinaryField(null=True, editable=False)  # float32, little endian; null: ranked by words only
    embedding_model = models.CharField(max_length=200, blank=True, editable=False)  # made `embedding`
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated"), db_default=Now(), editable=False)  # not changed by recall

    objects = MemoryQuerySet.as_manager()

    class Meta:
        verbose_name = _("memory")
        verbose_name_plural = _("memories")
        constraints = (
            models.UniqueConstraint(  # concurrent writes of the same text get one memory
                fields=("user_id", "scope", "scope_ref", "key", "text_key"),
                condition=Q(status__in=["active", "pending"]),
                name="one_open_memory_per_text",
            ),
            models.UniqueConstraint(  # a store's key names one item
                fields=("user_id", "key"), condition=Q(status="active") & ~Q(key=""), name="one_active_memory_per_key"
            ),
            models.CheckConstraint(
                condition=Q(scope="user", scope_ref="") | (~Q(scope="user") & ~Q(scope_ref="")),
                name="memory_scope_is_named",
                violation_error_message=_(
                    "Enter a name for a session or agent scope. Leave it empty for a user scope."
                ),
            ),
        )
        indexes = (
            models.Index(fields=("user_id", "status", "-created_at"), name="memory_owner"),  # recall, the API's list
            models.Index(fields=("-created_at",), name="memory_recent"),  # the admin's list
            models.Index(fields=("status", "-created_at"), name="memory_by_status"),  # its filters
        )

    @override
    def __str__(self) -> str:
        return shortened(self.text, 60)


OPEN = (Memory.Status.ACTIVE, Memory.Status.PENDING)
