from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "agentsite.core"
    label = "core"
    verbose_name = "Access"
