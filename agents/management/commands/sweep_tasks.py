from typing import Any

from django.core.management.base import BaseCommand
from typing_extensions import override

from agents.maintenance import sweeper
from agents.observability import metrics


class Command(BaseCommand):
    """Manual counterpart of the workers' regular sweep."""

    help = "Repair tasks: expired leases, missing jobs, unused answers, waiting tasks and leftover checkpoints."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        for duty, count in sweeper.sweep().items():
            self.stdout.write(f"{duty}: {count}")
        metrics.flush()
