from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from core import checks


class CoreConfig(AppConfig):
    name = "core"
    label = "core"
    verbose_name = _("Access")

    @override
    def ready(self) -> None:
        register(checks.limits)
        register(checks.pooler)
        register(checks.idle_transactions, Tags.database)
