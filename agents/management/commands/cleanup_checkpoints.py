"""The command `manage.py cleanup_checkpoints`, which deletes the checkpoints of deleted tasks."""

from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from typing_extensions import override

from agents.checkpoints import tables
from agents.maintenance import retention


class Command(BaseCommand):
    """Manual counterpart of the workers' daily cleanup."""

    help = "Delete the checkpoints of tasks that no longer exist."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only show how many would be deleted")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            found = set(chain.from_iterable(tables.orphans()))
            self.stdout.write(f"Would delete {len(found)} orphaned thread(s).")
        else:
            count = sum(retention.delete_orphaned_checkpoints())
            self.stdout.write(f"Deleted {count} orphaned thread(s).")
