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
    """The options that say what is meant; everything, where none is given."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--agent", metavar="NAME", help="only this agent, a name in AGENTS")
    group.add_argument("--tool", metavar="NAME", help="only calls of this tool")
    group.add_argument("--user", metavar="USER_ID", help="only tasks of this user")


def scope_of(options: dict[str, Any]) -> tuple[str, str]:
    """What is meant. An option that was given without a name is no "everything"."""
    given = [(scope, options[scope]) for scope in (Scope.AGENT, Scope.TOOL, Scope.USER) if options[scope] is not None]
    if not given:
        return Scope.EVERYTHING, ""
    scope, value = given[0]
    return scope, (stored(value) or value) if scope == Scope.USER else value


def actor() -> pauses.Actor:
    """Who sits at this host, as far as it knows."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        login = "?"
    return pauses.Actor(f"manage.py:{login}@{socket.gethostname()}")


def line_of(pause: Pause) -> str:
    """A pause in one line."""
    since = localtime(pause.created_at).isoformat(sep=" ", timespec="seconds")
    name = f" {pause.value}" if pause.value else ""
    return visible(f"{pause.scope}{name}: since {since}, by {pause.by_name}: {' '.join(pause.reason.split())}")


class Command(BaseCommand):
    """Thin: `reviews.pauses` does it."""

    help = "Pause everything, an agent, a tool or a user: nothing of it begins until `resume`. Tasks wait."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        add_scopes(parser)
        parser.add_argument("--reason", default="", help="why, for those who meet the pause and for the audit log")
        parser.add_argument("--list", action="store_true", help="only show what is paused")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError, and pauses nothing, where an option is not valid."""
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
        self.stdout.write(f"{'Paused' if is_new else 'Was paused already'}: {line_of(pause)}")
        if scope == Scope.TOOL and not _has_tool(value):
            self.stderr.write(f"No agent has a tool called {value!r} now: check the name.")


def _has_tool(name: str) -> bool:
    """Whether an agent has it; not doubted where the agents can't be built now."""
    try:
        return bool(import_string("agents.runtime.registry.has_tool")(name))  # LangChain, only for who asks
    except Exception:
        return True
