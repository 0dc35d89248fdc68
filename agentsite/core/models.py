"""Credentials of principals."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.models import AbstractAPIKey, APIKeyManager


class ApiKeyManager(APIKeyManager):
    """Finds a key together with its user: each request would ask twice otherwise."""

    def get_usable_keys(self) -> models.QuerySet:
        """Source: rest_framework_api_key."""
        return super().get_usable_keys().select_related("user")


class ApiKey(AbstractAPIKey):
    """A key that lets its holder act as `user`. Stored hashed, shown once, can expire and be revoked."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys", verbose_name=_("user")
    )

    objects: ClassVar[ApiKeyManager] = ApiKeyManager()

    class Meta:
        ordering = ("-created",)
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
