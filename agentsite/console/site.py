"""Admin site: login, access and the page for locked-out users."""

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

from agentsite.console import dashboard, preferences, sessions
from agentsite.console.banner import banner
from core.auth import second_factor
from core.closed_lookups import closed
from reviews.console import queue
from reviews.decisions import permissions


class LoginForm(OTPAuthenticationFormMixin, AdminAuthenticationForm):
    """Login form that asks for a code only after the right password of a user who has a device.

    django-otp's own form asks every user.
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
        "token_required": _("Enter the code from your device, or a backup code."),
        "invalid_token": _("The code is wrong, or it has already been used."),
    }

    @override
    def clean(self) -> dict[str, Any]:
        """Validate the login. Raises ValidationError when a required second factor is missing or wrong."""
        cleaned: dict[str, Any] = super().clean()
        user = self.get_user()
        if user is not None and user_has_device(user):
            self.asks_code = True
            self.fields["username"].widget.attrs.pop("autofocus", None)
            self.clean_otp(user)
        elif user is not None and settings.ADMIN_REQUIRE_OTP:
            message = _("A second factor is required, and you don't have one. Ask an administrator to set one up.")
            raise ValidationError(message, code="no_device")
        return cleaned

    def _chosen_device(self, user: Any) -> Device | None:
        # A client can send a choice that was not offered: an unconfirmed device, or any other text.
        if self.cleaned_data.get("otp_device") not in dict(self.device_choices(user)):
            return None
        device: Device | None = super()._chosen_device(user)
        return device

    @staticmethod
    def device_choices(user: Any) -> list[tuple[str, str]]:
        """Leave out the empty choice that django_otp puts first."""
        return [(device.persistent_id, gettext(device.name)) for device in devices_for_user(user)]


class AgentsiteAdminSite(admin.AdminSite):
    """Django's admin, which refuses sessions without a required second factor."""

    login_form = LoginForm
    login_template = "agentsite/login.html"
    index_template = "agentsite/index.html"
    site_url = None  # no "View site" link: `/` returns JSON

    @override
    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register models with an admin class that accepts only the look-ups it offers (`ClosedAdmin`)."""
        super().register(model_or_iterable, closed(admin_class or admin.ModelAdmin), **options)

    @override
    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the number of open reviews, for users who may decide reviews, and the pauses."""
        context = super().each_context(request)
        return {**context, "pending_reviews": pending_reviews(request), "paused": banner(request)}

    @override
    def get_urls(self) -> list[Any]:
        """Add the console and the pages for preferences and for the language, which can be chosen before login."""
        return [
            path("language/", set_language, name="language"),
            path("console/", self.admin_view(sessions.page), name="console"),
            path("preferences/", self.admin_view(preferences.page), name="preferences"),
            *super().get_urls(),
        ]

    @override
    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Add the dashboard, and the link to the console."""
        figures = {
            "panels": dashboard.panels(request.user),
            "errors": dashboard.errors(request.user),
            "may_use_console": sessions.may_use(request.user),
        }
        return super().index(request, {**figures, **(extra_context or {})})

    @override
    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and not second_factor.is_missing(request.user)


def pending_reviews(request: HttpRequest) -> int | None:
    """Count the open reviews. Return None for users who may not decide reviews."""
    may_decide = request.user.is_active and request.user.has_perm(permissions.DECIDE)
    return queue.pending_count(request) if may_decide else None


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """Return the page for a locked-out login (setting AXES_LOCKOUT_CALLABLE of django-axes)."""
    seconds = int((get_cool_off(request) or timedelta()).total_seconds())
    context = {**admin.site.each_context(request), "title": _("Too many failed logins"), "minutes": seconds // 60}
    page = render(request, "agentsite/locked_out.html", context, status=429)
    page["Retry-After"] = str(seconds)  # the whole cool-off, counted from the last failure: never too short
    return page
