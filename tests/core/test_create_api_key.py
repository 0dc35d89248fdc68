"""`manage.py create_api_key`."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from core.models import ApiKey

pytestmark = pytest.mark.django_db


def create_api_key(*arguments: str) -> str:
    """Everything that the command prints on standard output."""
    output = StringIO()
    call_command("create_api_key", *arguments, stdout=output, stderr=StringIO())
    return output.getvalue()


@pytest.fixture
def bot() -> User:
    return User.objects.create_user("bot")


def test_the_key_is_all_that_it_prints_and_opens_the_account(bot):
    key = create_api_key("bot").removesuffix("\n")
    assert bot == User.objects.get(api_keys__pk=ApiKey.objects.get_from_key(key).pk)


def test_a_key_has_no_end_unless_it_is_given_one(bot):
    create_api_key("bot")
    assert bot.api_keys.get().expiry_date is None


def test_a_key_can_expire(bot):
    create_api_key("bot", "--expires", "90d", "--name", "staging")
    key = bot.api_keys.get(name="staging")
    assert abs(key.expiry_date - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize("length", ["90", "0d", "-1d", "d", "1y", "999999w", "١d", ""])
def test_a_length_of_time_that_makes_no_sense_is_refused(bot, length):
    with pytest.raises(CommandError, match="not a valid duration"):
        create_api_key("bot", f"--expires={length}")
    assert not bot.api_keys.exists()


def test_an_unknown_user_is_an_error_that_says_what_helps():
    with pytest.raises(CommandError, match="add --create"):
        create_api_key("bot")


def test_a_user_can_be_made_who_can_not_log_in():
    create_api_key("bot", "--create")
    assert not User.objects.get(username="bot").has_usable_password()


def test_create_takes_the_user_that_is_there(bot):
    create_api_key("bot", "--create")
    assert bot.api_keys.count() == 1


@pytest.mark.parametrize("username", ["", "two words", "..", "x" * 129])
def test_a_username_that_could_not_be_a_user_id_is_refused(username):
    with pytest.raises(CommandError, match="can't be a username"):
        create_api_key(username, "--create")


def test_a_service_acts_for_any_user(bot):
    create_api_key("bot", "--service")
    assert User.objects.get(pk=bot.pk).has_perm("agents.act_for_any_user")


def test_a_user_who_is_no_service_acts_only_for_itself(bot):
    create_api_key("bot")
    assert not User.objects.get(pk=bot.pk).has_perm("agents.act_for_any_user")


def test_an_inactive_user_gets_no_key(bot):
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="not active"):
        create_api_key("bot")


@pytest.mark.parametrize("name", ["", "x" * 51])
def test_a_name_that_does_not_fit_is_refused(bot, name):
    with pytest.raises(CommandError, match="--name"):
        create_api_key("bot", f"--name={name}")
