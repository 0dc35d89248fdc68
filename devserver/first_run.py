"""The accounts of a first run on one's own machine, and the file that remembers them."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction

from core.accounts import create_key, make_service, reviewers

FILE_NAME = "first-run.json"
KEY_NAME = "first run"


@dataclass(frozen=True)
class FirstRun:
    """The credentials as they stand in the file; the database knows only their hashes."""

    url: str
    admin_user: str
    admin_password: str
    reviewer_user: str
    reviewer_password: str
    reviewer_key: str
    service_key: str


def is_first_run() -> bool:
    """Whether nobody has an account yet."""
    return not User.objects.exists()


def make_first_accounts(url: str, folder: Path) -> FirstRun:
    """Makes an administrator, a reviewer and a service account, and writes their credentials to the folder.

    Raises core.errors.NotFound when a permission is missing, OSError when the file can't be written. No
    account exists then.
    """
    with transaction.atomic():
        admin_password, reviewer_password = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        admin = User.objects.create_superuser("admin", password=admin_password)
        reviewer = User.objects.create_user("reviewer", password=reviewer_password, is_staff=True)
        reviewer.groups.add(reviewers())
        service = User.objects.create_user("service")
        make_service(service)
        made = FirstRun(
            url=url,
            admin_user=admin.username,
            admin_password=admin_password,
            reviewer_user=reviewer.username,
            reviewer_password=reviewer_password,
            reviewer_key=create_key(reviewer, KEY_NAME),
            service_key=create_key(service, KEY_NAME),
        )
        # Last inside the transaction: accounts whose passwords nobody could read would lock everybody out.
        write_secret(folder / FILE_NAME, json.dumps(asdict(made), indent=2) + "\n")
    return made


def write_secret(path: Path, text: str) -> None:
    """Replaces the file by one that only its owner can read, from its first byte on; never by half of it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # O_EXCL follows no link that somebody else has put there, and takes no file with other rights.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
