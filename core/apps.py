from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

from core import checks


class CoreConfig(AppConfig):
    name = "core"
    label = "core"
    verbose_name = _("Access")

    def ready(self) -> None:
        """Source: django.apps."""
        register(checks.limits)
