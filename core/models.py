"""Credentials of principals, and preferences of people who use the admin."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.models import AbstractAPIKey, APIKeyManager
from typing_extensions import override

from core import timezones
from core.db.clock import Now


class ApiKeyManager(APIKeyManager):
    """Manager that loads a key together with its user, which saves a query on each request."""

    @override
    def get_usable_keys(self) -> models.QuerySet:
        return super().get_usable_keys().select_related("user")

    def dead(self, before: datetime) -> models.QuerySet:
        """Return the keys that were revoked or expired before this time."""
        return self.filter(models.Q(revoked_at__lt=before) | models.Q(expiry_date__lt=before))

    def note_revoked(self) -> int:
        """Record the present time for revoked keys that have none yet. Returns how many."""
        return self.filter(revoked=True, revoked_at=None).update(revoked_at=Now())


class ApiKey(AbstractAPIKey):
    """A key that lets its holder act as `user`. It is stored hashed, shown once, and can expire or be revoked."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys", verbose_name=_("user")
    )
    # Set by the housekeeping, so exact only to the day: `revoked` is a plain boolean that any update may set.
    revoked_at = models.DateTimeField(_("revoked at"), null=True, editable=False)

    objects: ClassVar[ApiKeyManager] = ApiKeyManager()

    class Meta:
        ordering = ("-created",)
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")


class Preferences(models.Model):
    """Preferences of an admin user. The language is in a cookie instead, because it also applies before login."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="preferences",
        verbose_name=_("user"),
    )
    # "" is the time zone of the service.
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, validators=[timezones.require_known])

    class Meta:
        verbose_name = _("preferences")
        verbose_name_plural = _("preferences")

    @override
    def __str__(self) -> str:
        return self.user.get_username()
