from django.apps import AppConfig, apps
from django.core.checks import register
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agentsite.console import foreign
from agentsite.observability import tracing


class AgentsiteConfig(AppConfig):
    name = "agentsite"
    verbose_name = "Agentsite"

    @override
    def ready(self) -> None:
        """Register checks, translate other packages' names and rename the OTP apps for the admin's index."""
        register(tracing.check)
        foreign.translate()
        apps.get_app_config("otp_totp").verbose_name = _("Second factor: authenticators")
        apps.get_app_config("otp_static").verbose_name = _("Second factor: backup codes")
