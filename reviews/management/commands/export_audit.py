from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from reviews.audit import log
from reviews.models import AuditEntry


class Command(BaseCommand):
    """Thin wrapper of `reviews.audit.log`, which defines the formats."""

    help = "Write the audit log to standard output, oldest first."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=log.FORMATS, default="csv", help="CSV, or one JSON object per line")
        parser.add_argument(
            "--since", metavar="2026-01-31", help="only entries from this date or time on (ISO 8601, UTC)"
        )

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Write the entries. Raises CommandError if --since is not a date."""
        entries = AuditEntry.objects.all()
        if options["since"]:
            entries = entries.filter(at__gte=_moment(options["since"]))
        for line in log.exported(entries, options["format"]):
            self.stdout.write(line, ending="")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CommandError(f"--since {text!r} is not a valid date or time. Use a value such as 2026-01-31.") from error
