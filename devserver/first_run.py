"""Accounts for a first run on a developer's machine, and the file with their credentials."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction

from agentsite.accounts import create_key, make_service, reviewers

FILE_NAME = "first-run.json"
KEY_NAME = "first run"


@dataclass(frozen=True)
class FirstRun:
    """Credentials as stored in the file. The database stores only their hashes."""

    url: str
    admin_user: str
    admin_password: str
    reviewer_user: str
    reviewer_password: str
    reviewer_key: str
    service_key: str


def is_first_run() -> bool:
    """Return whether there are no accounts yet."""
    return not User.objects.exists()


def make_first_accounts(url: str, folder: Path) -> FirstRun:
    """Create an administrator, a reviewer and a service account, and write their credentials to the folder.

    Raises core.errors.NotFound when a permission is missing, and OSError when the file can't be written. In both cases
    no account is created.
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
        # Last inside the transaction: if the file can't be written, no accounts with unknown passwords remain.
        write_secret(folder / FILE_NAME, json.dumps(asdict(made), indent=2) + "\n")
    return made


def write_secret(path: Path, text: str) -> None:
    """Replace the file atomically with one that is readable only by its owner from the start."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # O_EXCL does not follow a link placed there by another user, and does not reuse a file with other permissions.
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
