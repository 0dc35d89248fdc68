"""`manage.py erase_user`: deletes everything the service has about one user."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from agentsite import privacy
from core.identifiers import identifier


class Command(BaseCommand):
    """Command that asks for confirmation before it deletes."""

    help = "Delete a user's sessions and everything that belongs to them, memories, rules, pauses and idempotency keys."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user_id", help="user_id of the owner, as in the API")
        parser.add_argument("--account", action="store_true", help="also delete the Django user and its API keys")
        parser.add_argument("--yes", action="store_true", help="don't ask for confirmation")
        parser.add_argument("--dry-run", action="store_true", help="only show what would be deleted")

    @override
    def handle(self, *args: Any, user_id: str, account: bool, yes: bool, dry_run: bool, **options: Any) -> None:
        """Erase the user. Raises CommandError, and deletes nothing, for an invalid user_id or without confirmation."""
        try:
            user_id = identifier(user_id)
        except ValueError as error:
            raise CommandError(f"{user_id!r} can't be a user_id: {error}") from error
        found = privacy.counts(user_id)
        if not account:
            found.pop("accounts")
        told = ", ".join(f"{name} {count}" for name, count in found.items())
        if dry_run:
            self.stdout.write(f"Would erase {user_id!r}: {told}.")
            return
        if not yes:
            _confirm(f"Permanently erase {user_id!r} ({told})? [yes/no] ")
        privacy.erase(user_id, account=account)
        self.stdout.write(f"Erased {user_id!r}: {told}.")
        if found["unfinished"]:
            self.stdout.write("A tool that is still running may store its result. Run this command again in a minute.")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError("Can't ask for confirmation without a terminal. To confirm, add --yes.")
    if input(question).strip().lower() != "yes":
        raise CommandError("Nothing was erased.")
