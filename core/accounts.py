"""Accounts and credentials that commands make."""

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

REVIEWERS = "Reviewers"
DECIDE_REVIEW = "reviews.decide_review"
BACKUP_CODES = 10  # of one user; each works once
REVIEWED_APPS = ("agents", "memory", "reviews")  # what a reviewer looks at to decide


def find_permission(name: str) -> Permission:
    """The permission `app.codename`. Raises NotFound when no app declares it or it has not been migrated."""
    app_label, _, codename = name.partition(".")
    try:
        return Permission.objects.get(content_type__app_label=app_label, codename=codename)
    except Permission.DoesNotExist as error:
        raise NotFound(f"There is no permission {name}: run `manage.py migrate` first.") from error


def view_permissions(app_labels: Iterable[str]) -> list[str]:
    """The names of the permissions to view each model of these apps."""
    return [
        f"{label}.{get_permission_codename('view', model._meta)}"
        for label in app_labels
        for model in apps.get_app_config(label).get_models()
    ]


def reviewers() -> Group:
    """The group whose members may decide reviews and see what they are about; made when it is missing."""
    group, _ = Group.objects.get_or_create(name=REVIEWERS)
    group.permissions.add(*map(find_permission, [DECIDE_REVIEW, *view_permissions(REVIEWED_APPS)]))
    return group


def make_service(user: User) -> None:
    """Lets the user act for any user."""
    user.user_permissions.add(find_permission(ACT_FOR_ANY_USER))


def create_key(user: User, name: str, expires: datetime | None = None) -> str:
    """A new API key of the user: the one time that it can be read."""
    _, key = ApiKey.objects.create_key(name=name, user=user, expiry_date=expires)
    return str(key)


@dataclass(frozen=True)
class SecondFactor:
    """What its user has to keep: shown once."""

    url: str  # otpauth://, what the authenticator app reads from the QR code
    backup_codes: list[str]


def create_second_factor(user: User, *, replace: bool = False) -> SecondFactor:
    """An authenticator and backup codes, asked for from the user's next login on.

    Raises Conflict where the user has a device, unless it is to be replaced.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two at once would make two
        devices = list(devices_for_user(user, confirmed=None))
        if devices and not replace:
            raise Conflict(f"{user.username} has a second factor already.")
        for device in devices:
            device.delete()
        authenticator = TOTPDevice.objects.create(user=user, name=gettext_noop("Authenticator"))
        backup = StaticDevice.objects.create(user=user, name=gettext_noop("Backup codes"))
        codes = [StaticToken.random_token() for _ in range(BACKUP_CODES)]
        StaticToken.objects.bulk_create([StaticToken(device=backup, token=code) for code in codes])
    return SecondFactor(url=authenticator.config_url, backup_codes=codes)
