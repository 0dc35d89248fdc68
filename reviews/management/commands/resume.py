from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from agents import pauses as held
from core.errors import AgentsiteError
from reviews import pauses
from reviews.management.commands.pause import actor, add_scopes, line_of, scope_of


class Command(BaseCommand):
    """Thin wrapper of `reviews.pauses.resume`."""

    help = "Lift the pause of everything, an agent, a tool or a user. Tasks that it held continue."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        add_scopes(parser)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Lift the selected pauses. Raises CommandError if there is none, or if a file holds one of them."""
        scope, value = scope_of(options)
        found = list(held.active().filter(scope=scope, value=value))
        if not found:
            raise CommandError(
                f"{scope} {value}".strip() + " is not paused. To list the pauses in force, run `pause --list`."
            )
        refused = []
        for pause in found:
            try:
                pauses.resume(pause.pk, actor())
            except AgentsiteError as error:
                refused.append(f"{line_of(pause)}: {error}")
            else:
                self.stdout.write(f"Resumed: {line_of(pause)}")
        if refused:
            raise CommandError("\n".join(refused))
        if left := held.active().count():
            self.stdout.write(f"{left} other pause(s) stay in force. To list them, run `pause --list`.")
