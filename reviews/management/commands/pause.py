import getpass
import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string
from django.utils.timezone import localtime
from typing_extensions import override

from agents import pauses as held
from agents.models import Pause
from core.errors import Invalid
from core.identifiers import stored
from core.text import visible
from reviews import pauses

Scope = Pause.Scope


def add_scopes(parser: CommandParser) -> None:
    """Add the options that select a scope; without one, it is everything."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--agent", metavar="NAME", help="only this agent (a name in AGENTS)")
    group.add_argument("--tool", metavar="NAME", help="only calls of this tool")
    group.add_argument("--user", metavar="USER_ID", help="only tasks of this user")


def scope_of(options: dict[str, Any]) -> tuple[str, str]:
    """Return the selected scope and value. An option with an empty name does not select everything."""
    given = [(scope, options[scope]) for scope in (Scope.AGENT, Scope.TOOL, Scope.USER) if options[scope] is not None]
    if not given:
        return Scope.EVERYTHING, ""
    scope, value = given[0]
    return scope, (stored(value) or value) if scope == Scope.USER else value


def actor() -> pauses.Actor:
    """Return an actor that names the login and this host; the login is "?" if it has no name."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        login = "?"
    return pauses.Actor(f"manage.py:{login}@{socket.gethostname()}")


def line_of(pause: Pause) -> str:
    """Return a one-line description of a pause."""
    since = localtime(pause.created_at).isoformat(sep=" ", timespec="seconds")
    name = f" {pause.value}" if pause.value else ""
    return visible(f"{pause.scope}{name}: since {since}, by {pause.by_name}: {' '.join(pause.reason.split())}")


class Command(BaseCommand):
    """Thin wrapper of `reviews.pauses.pause`."""

    help = "Pause everything, an agent, a tool or a user. Affected tasks and tool calls wait until `resume`."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        add_scopes(parser)
        parser.add_argument("--reason", default="", help="reason, shown in the admin")
        parser.add_argument("--list", action="store_true", help="list the pauses in force and exit")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Pause the scope or list pauses. Raises CommandError, and pauses nothing, if an option is invalid."""
        if options["list"]:
            lines = [line_of(pause) for pause in held.active()]
            self.stdout.write("\n".join(lines) or "Nothing is paused.")
            return
        scope, value = scope_of(options)
        try:
            pause, is_new = pauses.pause(scope, value, options["reason"], actor())
        except Invalid as error:
            wrong = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in error.extra["errors"].items())
            raise CommandError(wrong) from error
        self.stdout.write(f"{'Paused' if is_new else 'Already paused'}: {line_of(pause)}")
        if scope == Scope.TOOL and not _has_tool(value):
            self.stderr.write(f"No agent has a tool with the name {value!r}. Check the name.")


def _has_tool(name: str) -> bool:
    """Return whether an agent has the tool. True if the agents can't be built now, to avoid a false warning."""
    try:
        return bool(import_string("agents.runtime.registry.has_tool")(name))  # imports LangChain, so only on demand
    except Exception:
        return True
