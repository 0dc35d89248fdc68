"""`manage.py cleanup_keys`: deletes old revoked and expired API keys and used-up Idempotency-Keys."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from agents.maintenance import retention
from core.durations import duration
from core.models import ApiKey


class Command(BaseCommand):
    """Manual run of the cleanup that the workers do once a day (KEY_RETENTION_DAYS)."""

    help = "Delete API keys that were revoked or expired long ago, and Idempotency-Keys older than a day."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than", metavar="90d", default="90d", help="for API keys: a number followed by m, h, d or w"
        )
        parser.add_argument("--dry-run", action="store_true", help="only show how many would be deleted")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Delete the keys. Raises CommandError, and deletes nothing, when `--older-than` is not a duration."""
        try:
            before = retention.ago(duration(options["older_than"]))
        except (ValueError, OverflowError) as error:
            raise CommandError(f"--older-than {error}") from error
        dead, used_up = ApiKey.objects.dead(before), retention.idempotency_keys()
        if options["dry_run"]:
            told = f"Would delete {dead.count()} API key(s) and {used_up.count()} Idempotency-Key(s)."
        else:
            ApiKey.objects.note_revoked()
            deleted = [sum(retention.delete_rows(rows)) for rows in (dead, used_up)]
            told = f"Deleted {deleted[0]} API key(s) and {deleted[1]} Idempotency-Key(s)."
        self.stdout.write(told)
