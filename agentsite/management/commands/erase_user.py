"""`manage.py erase_user`: deletes everything the service has about one user."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from agentsite import privacy
from core.identifiers import identifier


class Command(BaseCommand):
    """Command that asks for confirmation before it deletes."""

    help = "Delete a user's sessions with everything that belongs to them, memories, rules and idempotency keys."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user_id", help="the owner's id, as in the API")
        parser.add_argument("--account", action="store_true", help="also the Django user and its API keys")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--dry-run", action="store_true", help="only say what it would delete")

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
            self.stdout.write(f"{user_id!r} would be erased: {told}.")
            return
        if not yes:
            _confirm(f"Erase {user_id!r} for good ({told})? [yes/no] ")
        privacy.erase(user_id, account=account)
        self.stdout.write(f"{user_id!r} is erased: {told}.")
        if found["unfinished"]:
            self.stdout.write("A tool that was inside its call may still end: run this again in a minute.")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError("Nobody can be asked here: add --yes.")
    if input(question).strip().lower() != "yes":
        raise CommandError("Nothing was erased.")
