"""`manage.py cleanup_checkpoints`: threads whose task is gone."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from agents.checkpoints import tables
from agents.models import Task
from tests.support.helpers import checkpoint_rows

pytestmark = pytest.mark.django_db(transaction=True)


def cleanup(*arguments: str) -> str:
    output = StringIO()
    call_command("cleanup_checkpoints", *arguments, stdout=output)
    return output.getvalue().strip()


@pytest.fixture
def kept(no_checkpoints: None, invoke: Any, work: Any) -> Task:
    """A task with checkpoints, beside a thread that has lost its task."""
    task, gone = invoke("book the Ritz for 2 nights"), invoke("book the Savoy for 1 night", session="s2")
    work()
    Task.objects.filter(pk=gone.pk).delete()
    return task


def test_an_orphan_goes_and_the_others_stay(kept: Task) -> None:
    assert cleanup() == "Deleted 1 orphaned thread(s)."
    assert cleanup() == "Deleted 0 orphaned thread(s)."
    assert tables.newest(kept.pk) != ""
    assert tables.forget([kept.pk]) > 0
    assert checkpoint_rows() == 0


def test_a_dry_run_only_tells(kept: Task) -> None:
    before = checkpoint_rows()
    assert cleanup("--dry-run") == "Would delete 1 orphaned thread(s)."
    assert checkpoint_rows() == before


def test_more_threads_than_a_page_are_all_looked_at(kept: Task, monkeypatch: Any) -> None:
    monkeypatch.setattr(tables, "BATCH", 1)
    assert cleanup() == "Deleted 1 orphaned thread(s)."
    assert tables.newest(kept.pk) != ""
