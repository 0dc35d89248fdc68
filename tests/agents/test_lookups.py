"""Lookups in SQL find what Django's ORM finds."""

from collections.abc import Callable
from typing import Any

import pytest

from agents import pauses
from agents.models import Pause, Task
from agents.state import lookups

pytestmark = pytest.mark.django_db

HOLD = [("everything", ""), ("agent", "default"), ("user", "ann"), ("tool", "charge")]
OTHERS = [("agent", "other"), ("user", "bob"), ("tool", "other"), ("agent", "ann"), ("user", "default")]


@pytest.mark.parametrize(("scope", "value"), HOLD + OTHERS)
@pytest.mark.parametrize("status", ["pending", "running", "completed"])
def test_a_lookup_finds_what_the_orm_finds(invoke: Callable[..., Task], scope: str, value: str, status: str) -> None:
    task = invoke("x")
    invoke("x", user="bob")
    Task.objects.filter(pk=task.pk).update(status=status, held_tool="charge", result={"messages": []})
    Pause.objects.create(scope=scope, value=value, reason="r", by_name="op")
    found: Any = lookups.find("ann", "s1", task.task_id)
    expected = Task.objects.select_related("session").get(pk=task.pk)
    names = [field.attname for field in Task._meta.concrete_fields]
    assert [getattr(found, name) for name in names] == [getattr(expected, name) for name in names]
    assert (found.session.user_id, found.session.session_id, found.session.pk) == ("ann", "s1", expected.session_id)
    held = pauses.over(expected, expected.held_tool) is not None
    assert bool(found.is_paused) == (held and status == "pending")


@pytest.mark.parametrize(
    "ids", [("bob", "s1", "t0"), ("ann", "s2", "t0"), ("ann", "s1", "t9"), ("ann' OR 1=1 --", "", "")]
)
def test_a_lookup_of_what_is_not_there_finds_nothing(invoke: Callable[..., Task], ids: tuple[str, str, str]) -> None:
    invoke("x", task="t0")
    assert lookups.find(*ids) is None
