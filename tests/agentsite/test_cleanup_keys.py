"""`manage.py cleanup_keys`: credentials that open nothing any more."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from agents.models import IdempotencyKey
from core.models import ApiKey

pytestmark = pytest.mark.django_db


def cleanup(*arguments: str) -> str:
    output = StringIO()
    call_command("cleanup_keys", *arguments, stdout=output)
    return output.getvalue().strip()


def days_ago(days: int) -> Any:
    return timezone.now() - timedelta(days=days)


@pytest.fixture(autouse=True)
def _keys(ann: Any) -> None:
    """Two keys of each kind, one of them dead for 100 days."""
    for name, expires, revoked in (
        ("expired long ago", days_ago(100), None),
        ("expired lately", days_ago(10), None),
        ("revoked long ago", None, days_ago(100)),
        ("revoked lately", None, days_ago(10)),
        ("in use", None, None),
    ):
        key, _ = ApiKey.objects.create_key(name=name, user=ann, expiry_date=expires)
        ApiKey.objects.filter(pk=key.pk).update(revoked=revoked is not None, revoked_at=revoked, created=days_ago(200))
    for age in (0, 2):
        IdempotencyKey.objects.create(principal=ann, key=str(age), created_at=days_ago(age))


def names() -> set[str]:
    return set(ApiKey.objects.values_list("name", flat=True))


def test_what_is_dead_for_long_goes() -> None:
    assert cleanup() == "Deleted 2 API key(s) and 1 Idempotency-Key(s)."
    assert names() == {"expired lately", "revoked lately", "in use"}
    assert IdempotencyKey.objects.get().key == "0"


def test_the_age_can_be_given() -> None:
    cleanup("--older-than=1w")
    assert names() == {"in use"}


def test_a_dry_run_only_tells() -> None:
    assert cleanup("--dry-run") == "Would delete 2 API key(s) and 1 Idempotency-Key(s)."
    assert len(names()) == 5
    assert IdempotencyKey.objects.count() == 2


def test_one_that_was_just_revoked_is_kept_and_dated() -> None:
    ApiKey.objects.filter(name="in use").update(revoked=True)
    cleanup()
    assert ApiKey.objects.get(name="in use").revoked_at is not None


@pytest.mark.parametrize("age", ["", "90", "-1d", "999999w"])
def test_an_age_that_is_none_changes_nothing(age: str) -> None:
    with pytest.raises(CommandError, match="--older-than"):
        cleanup(f"--older-than={age}")
    assert len(names()) == 5
