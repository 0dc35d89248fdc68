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
Fill the desk with 60 pending reviews, two weeks of decisions, sessions, memories and policy rules, in English and
Chinese. It all belongs to users, accounts and rules whose names end with {SUFFIX}. Everything is made by the real agent
and services, so deciding a review lets its run go on; its tools ({TOOLS}) act on nothing, but what you approve of
book_hotel and send_email is done as always (mail goes to the outbox folder unless EMAIL_URL is set). The audit log
keeps the entries of what was decided here, with their real time, also after --remove.
"""


class Command(BaseCommand):
    """Command that adds demo data to real data only with --more."""

    help = " ".join(HELP.split())

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--more", action="store_true", help="also where there are sessions of others")
        parser.add_argument("--yes", action="store_true", help="also without DEBUG")
        parser.add_argument("--remove", action="store_true", help="delete what it has made, and make nothing")
        parser.add_argument("--seed", type=int, default=1, help="of what is left to chance; the same, the same desk")

    @override
    def handle(self, *args: Any, more: bool, yes: bool, seed: int, **options: Any) -> None:
        """Create or remove the demo data. Raises CommandError and creates nothing if a precondition fails."""
        if not (settings.DEBUG or yes):
            raise CommandError("DEBUG is off, so this is no machine of your own: add --yes to do it all the same.")
        try:
            if options["remove"]:
                self._remove()
            elif is_there():
                self.stdout.write(f"The demo is there already: {_told(made())}. --remove takes it away.")
            else:
                self._fill(more=more, seed=seed, quiet=options["verbosity"] < 2)
        except (AgentsiteError, OutOfScript) as error:
            raise CommandError(f"{error} Nothing was kept.") from error
        except DatabaseError as error:
            raise CommandError(f"The database can't be used ({error}): run `manage.py migrate` first.") from error

    def _fill(self, *, more: bool, seed: int, quiet: bool) -> None:
        if not more and (count := others()):
            raise CommandError(
                f"There are {count} session(s) here already. `make demo` has data of its own; --more mixes the two."
            )
        if TOOLS not in settings.AGENTS["default"]["TOOLS"]:
            raise CommandError(f"The agent needs the demo's tools, here and in the workers: set AGENT_TOOLS={TOOLS}.")
        url = f"http://127.0.0.1:{settings.PORT}"
        if settings.DEBUG and is_first_run():  # else `manage.py dev` would find accounts and create no administrator
            make_first_accounts(url, settings.DATA_DIR)
        self.stdout.write("Filling the desk, which takes half a minute …")
        self.stdout.flush()
        with _quiet() if quiet else _as_it_is():
            fill(seed)
        self.stdout.write(_where(made(), url))

    def _remove(self) -> None:
        found = remove()
        self.stdout.write(f"Removed: {_told(found)}. The audit log keeps its entries.")


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
    accounts = f"log in as admin or reviewer; their passwords are in {file}" if file.exists() else "for reviewers"
    return "\n".join(
        [
            f"Made: {_told(found)}.",
            f"  The queue      {url}/admin/reviews/review/ ({accounts})",
            f"  The dashboard  {url}/admin/",
            f"  Rules          {url}/admin/reviews/policyrule/",
            f"  Memories       {url}/admin/memory/memory/",
            f"Start the service with AGENT_TOOLS={TOOLS}, else no run can use these tools.",
            "--remove takes all of it away.",
        ]
    )
