"""Texts of other packages' models, in the reader's language: some of the packages do not even mark theirs."""

from typing import Any

from django.apps import apps
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

# Of the last one a package's abstract model has the fields.
UNMARKED = ("otp_static.StaticDevice", "otp_totp.TOTPDevice", "core.ApiKey")


def translate() -> None:
    """Make the names of these models and of their fields, and what helps to fill them in, translatable."""
    for model in map(apps.get_model, UNMARKED):
        _mark(model._meta, "verbose_name", "verbose_name_plural")
        for field in model._meta.local_fields:
            _mark(field, "verbose_name", "help_text")


def _mark(holder: Any, *names: str) -> None:
    for name in names:
        text = getattr(holder, name)
        if text and not isinstance(text, Promise):
            setattr(holder, name, gettext_lazy(text))
