from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from typing_extensions import override

from core.models import ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    list_display = ("name", "user", "prefix", "created", "expiry_date", "revoked")
    list_filter = ("revoked", "created")
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    autocomplete_fields = ("user",)
    fields = ("name", "user", "expiry_date", "revoked")

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """Keep an existing key's name and user, and keep a revoked key revoked."""
        if obj is None:
            return ()
        return ("name", "user", "expiry_date", "revoked") if obj.revoked else ("name", "user")

    @override
    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Show a new key once, in a message. Only its hash is stored."""
        if not change:
            key = ApiKey.objects.assign_key(obj)
            messages.warning(request, _("Copy the API key now, because it is not shown again: %(key)s") % {"key": key})
        super().save_model(request, obj, form, change)
