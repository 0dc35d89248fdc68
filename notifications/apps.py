from django.apps import AppConfig
from django.core.checks import register
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from notifications import checks


class NoticesConfig(AppConfig):
    name = "notifications"
    label = "notices"
    verbose_name = _("Notifications")

    @override
    def ready(self) -> None:
        """Register the check and connect the receivers. They need the models, so they are imported by path."""
        register(checks.notices)
        import_string("notifications.outbox.connect")()
