from django.apps import AppConfig, apps
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

from agentsite.observability import foreign, tracing


class AgentsiteConfig(AppConfig):
    name = "agentsite"
    verbose_name = "Agentsite"

    def ready(self) -> None:
        """Source: django.apps. The admin's index would say OTP_TOTP and OTP_STATIC."""
        register(tracing.check)
        foreign.translate()
        apps.get_app_config("otp_totp").verbose_name = _("Second factor: authenticators")
        apps.get_app_config("otp_static").verbose_name = _("Second factor: backup codes")
