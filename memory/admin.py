"""Admin pages of memories, including those that wait for approval. Changes go through `memory.services`."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from typing_extensions import override

from core.admin_lists import BoundedSearch
from core.errors import Conflict, NotFound
from core.identifiers import identifier
from core.text import shortened
from memory import services
from memory.models import Memory


class MemoryForm(forms.ModelForm):
    """Form for a memory that a person writes."""

    def clean_user_id(self) -> str:
        """Return the id in its stored form."""
        try:
            return identifier(self.cleaned_data["user_id"])
        except ValueError as error:
            raise ValidationError(str(error)) from error


@admin.register(Memory)
class MemoryAdmin(BoundedSearch, admin.ModelAdmin):
    """Admin of memories. A text is not edited in place: a person adds the right one and forgets the wrong one."""

    form = MemoryForm
    list_display = ("summary", "user_id", "kind", "status", "source", "created_at", "last_used_at")
    list_filter = ("status", "source", "kind", "scope", "created_at")
    search_fields = ("text", "user_id")
    whole_terms = ("pk", "user_id")
    ordering = ("-created_at",)
    sortable_by = ("user_id", "created_at")
    actions = ("approve", "forget")
    written = ("user_id", "text", "kind", "scope", "scope_ref")  # by a person, once
    kept = ("status", "source", "source_task_id", "supersedes", "valid_from", "valid_until", "created_at", "updated_at")
    used = ("last_used_at", "use_count")
    readonly_fields = (*kept, *used)
    fieldsets = (
        (None, {"fields": (*written, "expires_at")}),
        (_("History"), {"fields": kept}),
        (_("Use"), {"fields": used}),
    )

    @admin.display(description=_("text"))
    def summary(self, memory: Memory) -> str:
        """Return the beginning of the text."""
        return shortened(memory.text, 100)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Memory]:
        """Return the rows without their vectors, which the pages do not need."""
        return super().get_queryset(request).defer("embedding")

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Memory | None = None) -> tuple[str, ...]:
        """Make everything but the expiry of an existing memory read-only."""
        return self.readonly_fields if obj is None else (*self.readonly_fields, *self.written)

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Memory | None = None) -> Any:
        """Leave out the history and use of a new memory, which has none yet."""
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets[:1] if obj is None else fieldsets

    @override
    def save_model(self, request: HttpRequest, obj: Memory, form: Any, change: bool) -> None:
        """Save the memory. A text that is remembered already does not become a second memory."""
        if not change:
            values = {name: form.cleaned_data[name] for name in ("kind", "scope", "scope_ref")}
            memory = services.add(obj.user_id, obj.text, source=Memory.Source.ADMIN, trusted=True, **values)
            obj.pk = memory.pk  # the admin's history and messages refer to this one
        if change or obj.expires_at:
            Memory.objects.filter(pk=obj.pk).update(expires_at=obj.expires_at)

    @admin.action(description=_("Approve the selected memories"), permissions=["change"])
    def approve(self, request: HttpRequest, chosen: QuerySet[Memory]) -> None:
        """Activate the selected memories that wait for approval."""
        self._each(request, chosen, services.approve)

    @admin.action(description=_("Forget the selected memories"), permissions=["change"])
    def forget(self, request: HttpRequest, chosen: QuerySet[Memory]) -> None:
        """Forget the selected memories, so that no agent recalls them."""
        self._each(request, chosen, services.forget)

    def _each(self, request: HttpRequest, chosen: QuerySet[Memory], change: Callable[[Memory], Memory]) -> None:
        done = 0
        for memory in chosen:
            try:
                change(memory)
                done += 1
            except (Conflict, NotFound) as error:
                self.message_user(request, f"{memory}: {error.detail}", messages.WARNING)
        self.message_user(request, ngettext("%d memory changed.", "%d memories changed.", done) % done)
