"""Change lists of large tables: what is counted, selected, searched and sorted by."""

from typing import Any

import pytest
from django.test import Client

from agents.models import Session, Task
from core import admin_lists
from core.db.distinct import distinct, latest

pytestmark = pytest.mark.django_db

TASKS = "/admin/agents/task/"


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Four tasks, of which the oldest is outside the newest that a search looks through."""
    monkeypatch.setattr(admin_lists, "NEWEST", 3)
    made = []
    for number in range(4):
        session = Session.objects.create(user_id=f"user{number % 2}", session_id=f"s{number}")
        at = f"2026-01-0{number + 1}T00:00:00Z"
        ids = {"task_id": f"task-{number}", "user_id": session.user_id, "position": 1}
        made.append(Task.objects.create(session=session, query=f"word{number}", updated_at=at, **ids))
    return made


def listed(client: Client, query: str) -> list[str]:
    return [task.task_id for task in client.get(f"{TASKS}{query}").context["cl"].result_list]


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("word", ["task-3", "task-2", "task-1"]),
        ("word0", []),
        ("task-0", ["task-0"]),
        ("user0", ["task-2", "task-0"]),
        ("s0", ["task-0"]),
        ("no such", []),
    ],
)
def test_a_search_finds_words_in_the_newest_and_whole_ids_in_all(
    admin_client: Client, tasks: list[Task], term: str, found: list[str]
) -> None:
    assert listed(admin_client, f"?q={term}") == found


def test_a_search_finds_the_internal_id(admin_client: Client, tasks: list[Task]) -> None:
    assert listed(admin_client, f"?q={tasks[0].pk}") == ["task-0"]


def test_a_list_that_is_too_long_says_so_and_offers_no_selection_of_all(
    admin_client: Client, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_lists, "COUNTED", 3)
    content = admin_client.get(TASKS).content.decode()
    assert "More than 3 tasks. To find others, filter or search." in content
    assert "across all pages" not in content


def test_a_list_with_fewer_rows_is_counted(admin_client: Client, tasks: list[Task]) -> None:
    assert "4 tasks" in admin_client.get(TASKS).content.decode()


def test_a_list_is_not_sorted_by_a_column_without_an_index(admin_client: Client, tasks: list[Task]) -> None:
    content = admin_client.get(TASKS).content.decode()
    assert "column-task_id" in content
    assert listed(admin_client, "?o=1") == ["task-3", "task-2", "task-1", "task-0"]
    assert listed(admin_client, "?o=8") == ["task-0", "task-1", "task-2", "task-3"]


def test_the_agents_of_the_settings_are_offered_and_others_filter_too(admin_client: Client, tasks: list[Task]) -> None:
    Task.objects.filter(pk=tasks[1].pk).update(agent="retired")
    assert "?agent=default" in admin_client.get(TASKS).content.decode()
    assert listed(admin_client, "?agent=retired") == ["task-1"]


def test_distinct_values_and_their_latest_times(tasks: list[Task]) -> None:
    assert distinct(Task, "user_id") == ["user0", "user1"]
    assert distinct(Task, "user_id", 1) == ["user0"]
    found: dict[str, Any] = latest(Task, "user_id", "updated_at", 10)
    assert [(user, at.isoformat()) for user, at in found.items()] == [
        ("user1", "2026-01-04T00:00:00+00:00"),
        ("user0", "2026-01-03T00:00:00+00:00"),
    ]
