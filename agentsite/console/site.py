"""The admin as a whole: who gets in, and what is shown to those who don't."""

from datetime import timedelta
from typing import Any

from axes.helpers import get_cool_off
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.i18n import set_language
from django_otp import devices_for_user, user_has_device
from django_otp.forms import OTPAuthenticationFormMixin
from django_otp.models import Device
from typing_extensions import override

from agentsite.console import dashboard, preferences
from agentsite.console.banner import banner
from core.auth import second_factor
from core.closed_lookups import closed
from reviews.console import queue
from reviews.decisions import permissions


class LoginForm(OTPAuthenticationFormMixin, AdminAuthenticationForm):
    """Asks those who have a device for its code, once their password was right, and nobody else.

    django-otp's own form asks everybody.
    """

    otp_device = forms.CharField(label=_("Device"), required=False, widget=forms.Select)
    otp_token = forms.CharField(
        label=_("Code"),
        required=False,
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True}),
    )
    asks_code = False
    otp_error_messages = {
        **OTPAuthenticationFormMixin.otp_error_messages,
        "token_required": _("Enter the code that your device shows, or a backup code."),
        "invalid_token": _("That code is not right, or it has been used already."),
    }

    @override
    def clean(self) -> dict[str, Any]:
        """Raises ValidationError where a second factor is required and not shown."""
        cleaned: dict[str, Any] = super().clean()
        user = self.get_user()
        if user is not None and user_has_device(user):
            self.asks_code = True
            self.fields["username"].widget.attrs.pop("autofocus", None)
            self.clean_otp(user)
        elif user is not None and settings.ADMIN_REQUIRE_OTP:
            message = _("A second factor is required here and you have none. An administrator can make you one.")
            raise ValidationError(message, code="no_device")
        return cleaned

    def _chosen_device(self, user: Any) -> Device | None:
        # A client can send what was not offered: an unconfirmed device, or something that is no device at all.
        if self.cleaned_data.get("otp_device") not in dict(self.device_choices(user)):
            return None
        device: Device | None = super()._chosen_device(user)
        return device

    @staticmethod
    def device_choices(user: Any) -> list[tuple[str, str]]:
        """Leave out the empty choice that django_otp puts first."""
        return [(device.persistent_id, gettext(device.name)) for device in devices_for_user(user)]


class AgentsiteAdminSite(admin.AdminSite):
    """Django's admin, closed to sessions that lack a required second factor."""

    login_form = LoginForm
    login_template = "agentsite/login.html"
    index_template = "agentsite/index.html"
    site_url = None  # there is no other site to view: `/` speaks JSON

    @override
    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Every page takes only the look-ups that it offers (`ClosedAdmin`)."""
        super().register(model_or_iterable, closed(admin_class or admin.ModelAdmin), **options)

    @override
    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """With the open reviews' number for those who may decide some, and the pauses."""
        context = super().each_context(request)
        return {**context, "pending_reviews": pending_reviews(request), "paused": banner(request)}

    @override
    def get_urls(self) -> list[Any]:
        """With what readers choose: the language also before they have logged in."""
        return [
            path("language/", set_language, name="language"),
            path("preferences/", self.admin_view(preferences.page), name="preferences"),
            *super().get_urls(),
        ]

    @override
    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """With the dashboard."""
        figures = {"panels": dashboard.panels(request.user), "errors": dashboard.errors(request.user)}
        return super().index(request, {**figures, **(extra_context or {})})

    @override
    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and not second_factor.is_missing(request.user)


def pending_reviews(request: HttpRequest) -> int | None:
    """How many reviews are open; None for those who may decide none."""
    may_decide = request.user.is_active and request.user.has_perm(permissions.DECIDE)
    return queue.pending_count(request) if may_decide else None


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """django-axes' hook (setting AXES_LOCKOUT_CALLABLE): the page for a login that is locked."""
    seconds = int((get_cool_off(request) or timedelta()).total_seconds())
    context = {**admin.site.each_context(request), "title": _("Too many failed logins"), "minutes": seconds // 60}
    page = render(request, "agentsite/locked_out.html", context, status=429)
    page["Retry-After"] = str(seconds)  # counted from the last failure: never too short
    return page
