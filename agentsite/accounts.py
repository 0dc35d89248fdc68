"""Accounts and credentials that commands make."""

from collections.abc import Iterable
from datetime import datetime

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Group, Permission, User

from agentsite.core.errors import NotFound
from agentsite.core.models import ApiKey
from agentsite.core.principals import ACT_FOR_ANY_USER

REVIEWERS = "Reviewers"
DECIDE_REVIEW = "reviews.decide_review"
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
