"""Personal preferences of an admin user."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from core import timezones
from core.models import Preferences


def _zones() -> list[tuple[str, Any]]:
    return [("", _("Same as the service")), *((name, name) for name in timezones.names())]


class PreferencesForm(forms.ModelForm):
    """Form for all preferences of a user."""

    time_zone = forms.ChoiceField(
        choices=_zones,
        required=False,
        label=_("Time zone"),
        help_text=_("Times in the admin are shown and entered in this time zone."),
    )

    class Meta:
        model = Preferences
        fields = ("time_zone",)


def page(request: HttpRequest) -> HttpResponse:
    """Show and save the admin page "My preferences"."""
    reader = request.user.pk
    kept = Preferences.objects.filter(user=reader).first() or Preferences(user_id=reader)  # type: ignore[misc]
    form = PreferencesForm(request.POST if request.method == "POST" else None, instance=kept)
    if form.is_valid():
        form.save()
        messages.success(request, _("Your preferences were saved."))
        return HttpResponseRedirect(request.path)
    context = {**admin.site.each_context(request), "title": _("My preferences"), "form": form}
    return TemplateResponse(request, "agentsite/preferences.html", context)
