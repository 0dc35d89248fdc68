"""`manage.py cleanup_checkpoints`: deletes the state of runs whose task is gone."""

from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from agents.checkpoints import tables
from agents.maintenance import retention


class Command(BaseCommand):
    """Thin: the workers do the same once a day."""

    help = "Delete the checkpoints of tasks that do not exist any more."

    def add_arguments(self, parser: CommandParser) -> None:
        """Source: django.core.management."""
        parser.add_argument("--dry-run", action="store_true", help="only say how many it would delete")

    def handle(self, *args: Any, **options: Any) -> None:
        """Source: django.core.management."""
        if options["dry_run"]:
            found = set(chain.from_iterable(tables.orphans()))
            self.stdout.write(f"{len(found)} orphaned thread(s) would be deleted.")
        else:
            count = sum(retention.delete_orphaned_checkpoints())
            self.stdout.write(f"{count} orphaned thread(s) deleted.")
