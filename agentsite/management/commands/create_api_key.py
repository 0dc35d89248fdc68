"""`manage.py create_api_key`: creates a credential for a client of the API."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone
from typing_extensions import override

from agentsite.accounts import create_key, make_service
from core.durations import duration
from core.errors import AgentsiteError
from core.identifiers import identifier

NAME_LENGTH = 50  # of rest_framework_api_key's column


class Command(BaseCommand):
    """Command that prints only the key on standard output."""

    help = "Create an API key for a user and print it. The key can't be shown again."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options for the key's user, name and lifetime."""
        parser.add_argument("username", help="user that the key acts as, and default user_id of its requests")
        parser.add_argument("--name", default="command line", help="name of the key in the admin")
        parser.add_argument("--expires", metavar="90d", help="lifetime of the key: a number followed by m, h, d or w")
        parser.add_argument(
            "--create", action="store_true", help="create the user if it doesn't exist (it can't log in)"
        )
        parser.add_argument("--service", action="store_true", help="allow the user to act for any user")

    @override
    def handle(self, *args: Any, username: str, name: str, **options: Any) -> None:
        """Create the key and print it. Raises CommandError, and creates nothing, when an argument is wrong."""
        if not 0 < len(name) <= NAME_LENGTH:
            raise CommandError(f"--name has {len(name)} characters, but must have 1 to {NAME_LENGTH}.")
        expires = _expiry(options["expires"])
        try:
            with transaction.atomic():
                user = _user(username, create=options["create"])
                if options["service"]:
                    make_service(user)
                key = create_key(user, name, expires)
        except AgentsiteError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(key)
        self.stderr.write(f"API key of {username}, {_until(expires)}. Copy it now: it can't be shown again.")


def _user(username: str, *, create: bool) -> User:
    try:
        username = identifier(username)  # it becomes the default user_id of the key's requests
    except ValueError as error:
        raise CommandError(f"{username!r} can't be a username: {error}") from error
    user = User.objects.filter(username=username).first()
    if user is None and not create:
        raise CommandError(f"There is no user {username!r}. To create it, add --create.")
    if user is None:
        user = User(username=username)
        user.set_unusable_password()
        try:
            user.full_clean()
        except ValidationError as error:
            raise CommandError(f"{username!r} can't be a username: {' '.join(error.messages)}") from error
        user.save()
    if not user.is_active:
        raise CommandError(f"The user {username!r} is not active, so a key would have no effect.")
    return user


def _expiry(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return timezone.now() + duration(text)
    except OverflowError as error:
        raise CommandError(f"--expires {text!r} is not a valid duration: the date is too far in the future.") from error
    except ValueError as error:
        raise CommandError(f"--expires {error}") from error


def _until(expires: datetime | None) -> str:
    return f"valid until {expires:%Y-%m-%d %H:%M} UTC" if expires else "without an expiry date"
