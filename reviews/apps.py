from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class ReviewsConfig(AppConfig):
    name = "reviews"
    verbose_name = _("Reviews")

    def ready(self) -> None:
        """Source: django.apps. The admin pages of other things than reviews have modules of their own."""
        autodiscover_modules("policy_admin", "audit_admin", "pauses_admin", "related_admin")
