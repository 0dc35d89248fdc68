"""`manage.py seed_demo`: create or remove the demo data."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from typing_extensions import override

from core.errors import AgentsiteError
from demo import SUFFIX, TOOLS
from demo.play import OutOfScript
from demo.seeding import Made, fill, is_there, made, others, remove
from devserver.first_run import FILE_NAME, is_first_run, make_first_accounts

HELP = f"""
Create demo data in English and Chinese: 60 pending reviews, two weeks of decisions, sessions, memories and policy
rules. All of it belongs to users, accounts and rules whose names end with {SUFFIX}. The real agent and services create
the data, so a task continues when you decide its review. The demo tools ({TOOLS}) have no effect, but approved calls of
book_hotel and send_email run as usual (mail goes to the outbox folder unless EMAIL_URL is set). The audit log keeps its
entries about the demo data, with their real time, even after --remove.
"""


class Command(BaseCommand):
    """Command that adds demo data to real data only with --more."""

    help = " ".join(HELP.split())

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--more", action="store_true", help="also if there are other sessions")
        parser.add_argument("--yes", action="store_true", help="also if DEBUG is off")
        parser.add_argument("--remove", action="store_true", help="delete the demo data instead of creating it")
        parser.add_argument("--seed", type=int, default=1, help="random seed; the same seed creates the same data")

    @override
    def handle(self, *args: Any, more: bool, yes: bool, seed: int, **options: Any) -> None:
        """Create or remove the demo data. Raises CommandError and creates nothing if a precondition fails."""
        if not (settings.DEBUG or yes):
            raise CommandError("DEBUG is off, so this may be a production system. To continue anyway, add --yes.")
        try:
            if options["remove"]:
                self._remove()
            elif is_there():
                self.stdout.write(f"The demo data already exists: {_told(made())}. To delete it, use --remove.")
            else:
                self._fill(more=more, seed=seed, quiet=options["verbosity"] < 2)
        except (AgentsiteError, OutOfScript) as error:
            raise CommandError(f"{error} No demo data was created.") from error
        except DatabaseError as error:
            raise CommandError(f"Can't use the database ({error}). Run `manage.py migrate` first.") from error

    def _fill(self, *, more: bool, seed: int, quiet: bool) -> None:
        if not more and (count := others()):
            raise CommandError(
                f"There are already {count} session(s). To use a separate database, run `make demo`. "
                "To add the demo data here anyway, use --more."
            )
        if TOOLS not in settings.AGENTS["default"]["TOOLS"]:
            raise CommandError(f"The demo tools are not configured. Set AGENT_TOOLS={TOOLS}, here and for the workers.")
        url = f"http://127.0.0.1:{settings.PORT}"
        if settings.DEBUG and is_first_run():  # else `manage.py dev` would find accounts and create no administrator
            make_first_accounts(url, settings.DATA_DIR)
        self.stdout.write("Creating the demo data. This takes about half a minute.")
        self.stdout.flush()
        with _quiet() if quiet else _as_it_is():
            fill(seed)
        self.stdout.write(_where(made(), url))

    def _remove(self) -> None:
        found = remove()
        self.stdout.write(f"Deleted: {_told(found)}. The audit log keeps its entries.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Disable logging inside the block: the simulated payment outage would fill it with tracebacks."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _told(found: Made) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in asdict(found).items())


def _where(found: Made, url: str) -> str:
    file = settings.DATA_DIR / FILE_NAME
    accounts = f"log in as admin or reviewer; the passwords are in {file}" if file.exists() else "for reviewers"
    return "\n".join(
        [
            f"Created: {_told(found)}.",
            f"  The queue      {url}/admin/reviews/review/ ({accounts})",
            f"  The dashboard  {url}/admin/",
            f"  Rules          {url}/admin/reviews/policyrule/",
            f"  Memories       {url}/admin/memory/memory/",
            f"Start the service with AGENT_TOOLS={TOOLS}, so that its tasks can use these tools.",
            "To delete all of it, use --remove.",
        ]
    )
