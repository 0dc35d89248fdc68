"""Users with rights, and clients that act for them."""

from django.contrib.auth.models import Permission, User
from django.test import Client
from rest_framework.test import APIClient

from agentsite.accounts import create_key


def grant(user: User, *names: str) -> User:
    for name in names:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return User.objects.get(pk=user.pk)


def client_of(user: User | None) -> APIClient:
    client = APIClient()
    if user is not None:
        client.force_authenticate(user)
    return client


def keyed_client_of(user: User) -> APIClient:
    """With a real key, so that the way from the key to the user and what they may do is part of it."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {create_key(user, 'test')}")
    return client


def pages_of(user: User) -> Client:
    """The pages of the admin, as this user gets them."""
    client = Client()
    client.force_login(user)
    return client
