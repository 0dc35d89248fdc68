"""Kill switch in the admin: who paused what and why, a form to pause and a button to resume."""

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from typing_extensions import override

from agents.models import Pause
from core.admin_tools import ReadOnly
from core.errors import AgentsiteError, Invalid, NotFound
from core.text import shortened, visible
from reviews import pauses

LINE = 80  # characters of a text in a list


class PauseForm(forms.ModelForm):
    """Form for the scope of a pause and its reason."""

    class Meta:
        model = Pause
        fields = ("scope", "value", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 3})}
        help_texts = {
            "value": _("The exact name of the agent or tool, or the user_id. Leave empty to pause everything."),
            "reason": _("Shown in the admin. Clients of the API don't see it."),
        }

    @override
    def clean(self) -> dict[str, Any]:
        """Validate the pause. Raises ValidationError with the errors of each field."""
        given = {name: self.cleaned_data.get(name) or "" for name in self.Meta.fields}
        try:
            stored = pauses.checked(**given)
        except Invalid as error:
            wrong: dict[str, list[str]] = error.extra["errors"]
            raise forms.ValidationError({n: texts for n, texts in wrong.items() if n not in self.errors}) from error
        self.cleaned_data.update(zip(self.Meta.fields, stored, strict=True))
        return self.cleaned_data

    @override
    def validate_constraints(self) -> None:
        """Skip the constraints: an existing pause is not an error, and `save_model` reports it."""


class InForceFilter(admin.SimpleListFilter):
    """Filter by pauses in force or lifted pauses."""

    title = _("state")
    parameter_name = "state"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("active", _("In force")), ("lifted", _("Resumed"))]

    @override
    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in ("active", "lifted"):
            return queryset
        return queryset.filter(lifted_at__isnull=self.value() == "active")


@admin.register(Pause)
class PauseAdmin(ReadOnly, admin.ModelAdmin):
    form = PauseForm
    list_display = ("what", "why", "created_at", "who", "lifted_at", "resumer")
    list_filter = (InForceFilter, "scope")
    ordering = ("-created_at",)
    fields = ("what", "reason_", "created_at", "who", "from_file", "lifted_at", "resumer")
    readonly_fields = fields
    change_form_template = "admin/agents/pause/change_form.html"

    @override
    def get_urls(self) -> list[URLPattern]:
        """Add the URL that the resume button posts to."""
        view = self.admin_site.admin_view(self.resume_view)
        return [path("<uuid:pk>/resume", view, name="agents_pause_resume"), *super().get_urls()]

    @override
    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else PauseForm.Meta.fields

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ()

    @override
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return pauses.may_see(request.user)

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return pauses.may_see(request.user)

    @override
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(pauses.PAUSE_WORK))

    @override
    def save_model(self, request: HttpRequest, obj: Pause, form: Any, change: bool) -> None:
        """Pause, and use the stored row in place of the form's, because it may have existed already."""
        actor = pauses.Actor.of(request.user)  # type: ignore[arg-type]
        pause, is_new = pauses.pause(obj.scope, obj.value, obj.reason, actor)
        obj.__dict__.update(pause.__dict__)
        if not is_new:
            messages.warning(request, _("This was already paused. The existing pause is unchanged."))
        if obj.scope == Pause.Scope.TOOL and not pauses.known_tool(obj.value):
            messages.warning(request, _("No call of a tool with this name has been recorded yet. Check the name."))

    @override
    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        """Redirect to the page with the resume button."""
        return redirect("admin:agents_pause_change", obj.pk)

    @method_decorator(require_POST)
    def resume_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Lift the pause."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        try:
            pauses.resume(pk, pauses.Actor.of(request.user))  # type: ignore[arg-type]
        except NotFound as error:
            raise Http404 from error
        except AgentsiteError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, _("Resumed. Work that no other pause holds continues."))
        return redirect("admin:agents_pause_change", pk)

    @override
    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **options: Any) -> HttpResponse:
        """Add the address of the resume button if the reader may use it."""
        pause = context.get("original")
        if pause is not None and pause.lifted_at is None and self.has_add_permission(request):
            context["resume_url"] = reverse("admin:agents_pause_resume", args=[pause.pk])
        return super().render_change_form(request, context, *args, **options)

    @admin.display(description=_("paused"), ordering="scope")
    def what(self, row: Pause) -> str:
        """Return what is paused."""
        return shortened(str(row), LINE)

    @admin.display(description=_("reason"))
    def why(self, row: Pause) -> str:
        """Return the reason in one line."""
        return visible(shortened(" ".join(row.reason.split()), LINE)) or "-"

    @admin.display(description=_("reason"))
    def reason_(self, row: Pause) -> str:
        """Return the whole reason."""
        return visible(row.reason) or "-"

    @admin.display(description=_("paused by"), ordering="by_name")
    def who(self, row: Pause) -> str:
        """Return who paused: a username, or a host."""
        return visible(row.by_name)

    @admin.display(description=_("file"))
    def from_file(self, row: Pause) -> Any:
        """Return where to delete the file that holds the pause, if there is one."""
        return (
            _("Set by the file PAUSE in the data folder of this host. To resume, delete the file.")
            if row.source
            else "-"
        )

    @admin.display(description=_("resumed by"), ordering="lifted_by_name")
    def resumer(self, row: Pause) -> str:
        """Return who lifted the pause."""
        return visible(row.lifted_by_name) or "-"
