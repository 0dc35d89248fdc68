"""Texts of other packages, in the reader's language: some of the packages do not even mark theirs for translation."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.utils.translation import gettext_lazy

# Whose fields are shown. Of API keys a package's abstract model has the fields; of deliveries Django names the id.
SHOWN = ("otp_static.StaticDevice", "otp_totp.TOTPDevice", "core.ApiKey", "notices.Delivery")


def translate() -> None:
    """Make the names translatable that apps and models have, and what is said of the fields that are shown."""
    for holder, name in list(unmarked()):
        if text := getattr(holder, name):
            setattr(holder, name, gettext_lazy(str(text)))


def unmarked() -> Iterator[tuple[Any, str]]:
    """What has a text, and the attribute that holds it. A list of permissions names every model there is."""
    for config in apps.get_app_configs():
        models = [] if config.name.startswith("django.") else list(config.get_models())
        yield from [(config, "verbose_name")] if models else []
        for model in models:
            yield from ((model._meta, "verbose_name"), (model._meta, "verbose_name_plural"))
    for model in map(apps.get_model, SHOWN):
        for field in model._meta.local_fields:
            yield from ((field, "verbose_name"), (field, "help_text"))
