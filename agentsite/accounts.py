"""Accounts and credentials created by management commands."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.utils.translation import gettext_noop
from django_otp import devices_for_user
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from core.auth.principals import ACT_FOR_ANY_USER
from core.errors import Conflict, NotFound
from core.models import ApiKey
from reviews.decisions import permissions

REVIEWERS = "Reviewers"
BACKUP_CODES = 10  # per user; each works once
REVIEWED_APPS = ("agents", "memory", "reviews")  # apps whose models a reviewer may view


def find_permission(name: str) -> Permission:
    """Return the permission `app.codename`. Raises NotFound when no app declares it or it has not been migrated."""
    app_label, _, codename = name.partition(".")
    try:
        return Permission.objects.get(content_type__app_label=app_label, codename=codename)
    except Permission.DoesNotExist as error:
        raise NotFound(f"There is no permission {name}. Run `manage.py migrate` first.") from error


def view_permissions(app_labels: Iterable[str]) -> list[str]:
    """Return the names of the permissions to view the models of these apps, as far as they have one."""
    return [
        f"{label}.{get_permission_codename('view', model._meta)}"
        for label in app_labels
        for model in apps.get_app_config(label).get_models()
        if "view" in model._meta.default_permissions
    ]


def reviewers() -> Group:
    """Return the group whose members may decide reviews and view their context. Create it if it is missing."""
    group, _ = Group.objects.get_or_create(name=REVIEWERS)
    group.permissions.add(*map(find_permission, [permissions.DECIDE, *view_permissions(REVIEWED_APPS)]))
    return group


def make_service(user: User) -> None:
    """Give the user the permission to act for any user."""
    user.user_permissions.add(find_permission(ACT_FOR_ANY_USER))


def create_key(user: User, name: str, expires: datetime | None = None) -> str:
    """Create an API key for the user and return it. It cannot be read again."""
    _, key = ApiKey.objects.create_key(name=name, user=user, expiry_date=expires)
    return str(key)


@dataclass(frozen=True)
class SecondFactor:
    """Secrets that the user has to keep. They are shown once."""

    url: str  # otpauth://; the authenticator app reads it from the QR code
    backup_codes: list[str]


def create_second_factor(user: User, *, replace: bool = False) -> SecondFactor:
    """Create an authenticator and backup codes, required from the user's next login on.

    Raises Conflict if the user already has a device and `replace` is false.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two concurrent calls would both create one
        devices = list(devices_for_user(user, confirmed=None))
        if devices and not replace:
            raise Conflict(f"The user {user.username!r} already has a second factor.")
        for device in devices:
            device.delete()
        authenticator = TOTPDevice.objects.create(user=user, name=gettext_noop("Authenticator"))
        backup = StaticDevice.objects.create(user=user, name=gettext_noop("Backup codes"))
        codes = [StaticToken.random_token() for _ in range(BACKUP_CODES)]
        StaticToken.objects.bulk_create([StaticToken(device=backup, token=code) for code in codes])
    return SecondFactor(url=authenticator.config_url, backup_codes=codes)
