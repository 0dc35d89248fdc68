from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ReviewsConfig(AppConfig):
    name = "reviews"
    verbose_name = "Reviews"

    def ready(self) -> None:
        """Source: django.apps. The admin of the policy and of the audit log have modules of their own."""
        autodiscover_modules("policy_admin", "audit_admin")
