"""`manage.py create_otp_device`: creates a second factor for an admin user."""

from io import StringIO
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from qrcode.constants import ERROR_CORRECT_L
from qrcode.main import QRCode
from typing_extensions import override

from agentsite.accounts import create_second_factor
from core.errors import Conflict


class Command(BaseCommand):
    """Command that prints what the user has to keep: the setup URL, its QR code and the backup codes."""

    help = "Create a second factor for a user of the admin and print it. It can't be shown again."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments for the user and for replacing existing devices."""
        parser.add_argument("username", help="user who must enter the code from the next login on")
        parser.add_argument("--replace", action="store_true", help="replace the user's existing devices")

    @override
    def handle(self, *args: Any, username: str, replace: bool, **options: Any) -> None:
        """Create the device and print its secrets.

        Raises CommandError, and creates nothing, when the user does not exist, or has a device and `replace` is false.
        """
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username!r}.")
        try:
            made = create_second_factor(user, replace=replace)
        except Conflict as error:
            raise CommandError(f"{error} To replace it, add --replace.") from error
        self.stdout.write(f"{made.url}\n{qr_code(made.url)}\nBackup codes. Each works for one login:")
        self.stdout.write("\n".join(f"  {code}" for code in made.backup_codes))
        self.stderr.write(
            f"Scan the QR code with an authenticator app. From the next login on, {username} must enter a code."
        )


def qr_code(text: str) -> str:
    """Draw a QR code in block characters for a terminal with a dark background."""
    code = QRCode(error_correction=ERROR_CORRECT_L, border=2)  # the lowest error correction: the smallest picture
    code.add_data(text)
    picture = StringIO()
    code.print_ascii(out=picture, invert=True)
    return picture.getvalue()
