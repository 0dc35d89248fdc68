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
        """A key keeps its holder, and what is revoked stays revoked."""
        if obj is None:
            return ()
        return ("name", "user", "expiry_date", "revoked") if obj.revoked else ("name", "user")

    @override
    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """A new key is told once, in a message, and kept only as a hash."""
        if not change:
            key = ApiKey.objects.assign_key(obj)
            messages.warning(request, _("The key, shown only this once: %(key)s") % {"key": key})
        super().save_model(request, obj, form, change)
