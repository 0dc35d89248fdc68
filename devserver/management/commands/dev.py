"""`manage.py dev`: sets the service up and runs all of it on this machine."""

import logging
import os
import sys
import tempfile
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.db import connections
from typing_extensions import override

from core.errors import AgentsiteError
from devserver import supervisor
from devserver.first_run import FILE_NAME, FirstRun, is_first_run, make_first_accounts
from devserver.preflight import CannotStart, check_data_folder, check_host, check_port, free_port, is_loopback
from devserver.processes import environment, needs_rule_model, parts
from devserver.supervisor import Plan


class Command(BaseCommand):
    """Command that checks, migrates, creates the first accounts and then becomes the supervisor of all processes."""

    help = "Set up the service and run all of it on this machine. Press Ctrl-C to stop it."
    requires_system_checks: list[str] = []  # `handle` runs them after its quick checks

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options for the address. Everything else is configured by the environment."""
        parser.add_argument(
            "--host",
            default="127.0.0.1",
            help="address to listen on; addresses other than loopback require DEBUG=false",
        )
        parser.add_argument("--port", type=int, default=settings.PORT, help="port to listen on (default: PORT or 8000)")

    @override
    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        """Set up and start everything. Raises CommandError with a one-line message for any obstacle."""
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # it would repeat the CommandError below
        try:
            check_host(host, debug=settings.DEBUG)
            check_port(host, port)
            check_data_folder(settings.DATA_DIR)
            self.check()
            call_command("migrate", verbosity=0, interactive=False)
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            first = None
            if settings.DEBUG and is_loopback(host) and is_first_run():
                first = make_first_accounts(url, settings.DATA_DIR)
            model_port = free_port(besides=port) if needs_rule_model() else None
        except (CannotStart, AgentsiteError, OSError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise CommandError(f"Can't use the database ({reason}). Check DATABASE_URL.") from error
        except KeyboardInterrupt:
            sys.exit(130)
        connections.close_all()
        plan = Plan(
            parts=parts(host, port, model_port),
            address=host,
            port=port,
            host=_served_host(host),
            ready=_ready(url, first, rule_model=model_port is not None),
        )
        _become_supervisor(plan, {**os.environ, **environment(port, model_port)})


def _served_host(host: str) -> str:
    """Return a host name that the site accepts, for requests to /health."""
    names = [name for name in settings.ALLOWED_HOSTS if name and name[0] not in "*.["]
    return host if settings.DEBUG or not names else str(names[0])


def _ready(url: str, first: FirstRun | None, *, rule_model: bool) -> str:
    file = settings.DATA_DIR / FILE_NAME
    lines = ["", f"Agentsite is ready at {url}/", "", f"  Admin      {url}/admin/"]
    if first:
        lines += [
            f"  Accounts   {first.admin_user:<9} {first.admin_password:<20} has all permissions",
            f"             {first.reviewer_user:<9} {first.reviewer_password:<20} can decide reviews",
            f"  API keys   service   {first.service_key}   acts for any user",
            f"             reviewer  {first.reviewer_key}",
            f"             Stored in {file}, readable only by you.",
        ]
    elif file.exists():
        lines.append(f"  Accounts   in {file}")
    if rule_model:
        lines.append("  Model      a demo model; to use a real one, set OPENAI_API_KEY")
    return "\n".join([*lines, "  Next       try the curl commands in README.md. Press Ctrl-C to stop everything.", ""])


def _become_supervisor(plan: Plan, environ: dict[str, str]) -> NoReturn:
    """Replace this process with the supervisor. Django is not needed any more and would occupy 50 MB of memory.

    The plan contains passwords, so it is passed in an unnamed temporary file, not on the command line.
    """
    handover = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (the next program reads it)
    handover.write(plan.to_json())
    handover.flush()
    handover.seek(0)
    os.dup2(handover.fileno(), sys.__stdin__.fileno() if sys.__stdin__ else 0)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-P", supervisor.__file__], environ)
