"""The command `manage.py cleanup_sessions`, which deletes sessions without recent changes."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import reset_queries
from tqdm import tqdm
from typing_extensions import override

from agents.maintenance import retention
from agents.models import Status
from core.durations import duration
from core.identifiers import identifier

LARGEST_BATCH = 5_000  # sessions: SQLite allows 32,766 parameters in a statement


class Command(BaseCommand):
    """Manual counterpart of the workers' cleanup, which SESSION_RETENTION_DAYS turns on."""

    help = "Delete sessions without recent changes, with everything that belongs to them."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options that select the sessions and control the deletion."""
        parser.add_argument(
            "--older-than",
            metavar="30d",
            required=True,
            help="minimum time since the last change: a number followed by m, h, d or w",
        )
        parser.add_argument("--user", default="", help="only sessions of this user (user_id)")
        parser.add_argument(
            "--status",
            default="",
            help="only sessions whose newest task has this status; idle: without unfinished tasks",
        )
        parser.add_argument("--include-interrupted", action="store_true", help="also sessions that wait for a person")
        parser.add_argument("--dry-run", action="store_true", help="only show how many would be deleted")
        parser.add_argument("--batch-size", type=int, default=retention.SESSIONS, help="sessions per transaction")
        parser.add_argument("--no-progress", action="store_true", help="don't show a progress bar")

    @override
    def handle(self, *args: Any, batch_size: int, **options: Any) -> None:
        """Delete or count the sessions. Raises CommandError, and deletes nothing, if an argument is wrong."""
        old = _old(options)
        if not 1 <= batch_size <= LARGEST_BATCH:
            raise CommandError(f"--batch-size {batch_size}: use a number from 1 to {LARGEST_BATCH}.")
        if options["dry_run"]:
            self.stdout.write(f"Would delete {old.sessions().count()} session(s).")
            return
        quiet = options["no_progress"] or not sys.stderr.isatty()
        deleted = 0
        with tqdm(total=None if quiet else old.sessions().count(), unit=" sessions", disable=quiet) as bar:
            for count in retention.delete_sessions(old, batch_size):
                deleted += count
                bar.update(count)
                reset_queries()  # with DEBUG, Django keeps all queries
        self.stdout.write(f"Deleted {deleted} session(s).")


def _old(options: dict[str, Any]) -> retention.Old:
    status, user_id = options["status"], options["user"]
    if status and status not in retention.STATUSES:
        raise CommandError(f"--status {status!r}: use one of {', '.join(retention.STATUSES)}.")
    if status == Status.INTERRUPTED and not options["include_interrupted"]:
        raise CommandError(
            "--status interrupted: to delete sessions that wait for a person, add --include-interrupted."
        )
    try:
        before = retention.ago(duration(options["older_than"]))
    except (ValueError, OverflowError) as error:
        raise CommandError(f"--older-than {error}") from error
    try:
        user_id = identifier(user_id) if user_id else ""
    except ValueError as error:
        raise CommandError(f"--user {user_id!r}: {error}") from error
    return retention.Old(before, user_id, status, options["include_interrupted"])
