"""Translation of other packages' texts, some of which are not marked for translation."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.utils.translation import gettext_lazy

# Models whose fields the admin shows. ApiKey inherits its fields from a package; Django names the id of Delivery.
SHOWN = ("otp_static.StaticDevice", "otp_totp.TOTPDevice", "core.ApiKey", "notices.Delivery")


def translate() -> None:
    """Make the names of apps and models, and the names and help texts of the shown fields, translatable."""
    for holder, name in list(unmarked()):
        if text := getattr(holder, name):
            setattr(holder, name, gettext_lazy(str(text)))


def unmarked() -> Iterator[tuple[Any, str]]:
    """Yield each object with a text and the attribute that holds it.

    All models are included, because the list of permissions names each of them.
    """
    for config in apps.get_app_configs():
        models = [] if config.name.startswith("django.") else list(config.get_models())
        yield from [(config, "verbose_name")] if models else []
        for model in models:
            yield from ((model._meta, "verbose_name"), (model._meta, "verbose_name_plural"))
    for model in map(apps.get_model, SHOWN):
        for field in model._meta.local_fields:
            yield from ((field, "verbose_name"), (field, "help_text"))
