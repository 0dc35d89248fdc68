from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from typing_extensions import override

from reviews.decisions import services


class Command(BaseCommand):
    """Thin wrapper of `services.expire`. Workers expire reviews automatically, too."""

    help = "Close overdue reviews as their terms specify. A review is never approved this way."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only show how many would be closed")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            self.stdout.write(f"Would close {services.overdue_count()} review(s).")
        else:
            self.stdout.write(f"Closed {services.expire()} review(s).")
