from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from typing_extensions import override

from reviews.decisions import services


class Command(BaseCommand):
    """Thin wrapper of `services.expire`. Workers expire reviews automatically, too."""

    help = "Close the reviews that nobody decided in time, as their terms say (never by approving)."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how many it would close")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            self.stdout.write(f"{services.overdue_count()} review(s) would be closed.")
        else:
            self.stdout.write(f"{services.expire()} review(s) closed.")
