"""`manage.py export_user`: exports everything the service has about one user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from agentsite.privacy import export
from core.identifiers import identifier


class Command(BaseCommand):
    """Command that writes one JSON document."""

    help = "Export all data about a user as JSON."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user_id", help="user_id of the owner, as in the API")
        parser.add_argument("--output", metavar="FILE", type=Path, help="new file to write to, readable only by you")

    @override
    def handle(self, *args: Any, user_id: str, output: Path | None, **options: Any) -> None:
        """Write the export. Raises CommandError for an invalid user_id or when the file can't be created."""
        try:
            pieces = export(identifier(user_id))
        except ValueError as error:
            raise CommandError(f"{user_id!r} can't be a user_id: {error}") from error
        if output is None:
            for piece in pieces:
                self.stdout.write(piece, ending="")
            return
        with _new(output) as file:
            file.writelines(pieces)
        self.stdout.write(f"Wrote {output}.")


@contextmanager
def _new(path: Path) -> Iterator[TextIO]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"--output {path}: {error.strerror}.") from error
    with open(descriptor, "w", encoding="utf-8") as file:
        try:
            yield file
        except BaseException:  # a partial document could be taken for a complete one
            path.unlink()
            raise
