from typing import Any

from django.apps import AppConfig
from django.core.checks import register
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents import checks


class AgentsConfig(AppConfig):
    name = "agents"
    verbose_name = _("Agents")

    @override
    def ready(self) -> None:
        """Register the system checks, and have `migrate` create LangGraph's checkpoint tables as well."""
        register(checks.timing)
        register(checks.bounds)
        register(checks.retention)
        register(checks.budgets)
        register(checks.prices)
        register(checks.former_reviewers)
        register(checks.broker)
        register(checks.duties, "agents", deploy=True)
        register(checks.agents, "agents", deploy=True)
        post_migrate.connect(_create_checkpoint_tables, sender=self)


def _create_checkpoint_tables(**kwargs: Any) -> None:
    # Imported only when needed: every process loads this module, and LangGraph would cost each of them 60 MB.
    import_string("agents.checkpoints.fenced_saver.create_tables")()
