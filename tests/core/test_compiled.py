"""A compiled query finds what the same queryset finds, whatever the values, and is compiled once."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from agents.models import Session, Task
from core.db.compiled import Compiled
from tests.support.concurrency import in_threads

pytestmark = pytest.mark.django_db

ODD = ["", "%s", "%(x)s", "'; DROP TABLE agents_task; --", "ü 中 🦊", "a\\b", "{}", "None"]


def values_of(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_each_column_comes_back_as_from_the_orm(invoke: Callable[..., Task]) -> None:
    task = invoke("x")
    Task.objects.filter(pk=task.pk).update(recalled=[{"id": "1", "text": "ü"}], result={"messages": [None, 1.5]})
    by_pk = Compiled[Task](lambda pk: Task.objects.filter(pk=pk))
    assert [values_of(row) for row in by_pk(task.pk)] == [values_of(Task.objects.get(pk=task.pk))]
    assert by_pk(uuid.uuid4()) == []


@pytest.mark.parametrize("text", ODD)
def test_a_value_is_a_value_whatever_it_looks_like(text: str) -> None:
    Session.objects.create(user_id="ann", session_id="s", title="other")
    expected = Session.objects.create(user_id="ann", session_id="t", title=text)
    titled = Compiled[Session](lambda title, user: Session.objects.filter(title=title, user_id=user))
    assert titled(text, "ann") == [expected]
    assert titled(text, "bob") == []
    assert titled(f"{text}!", "ann") == []


def test_order_and_number_of_the_values_are_those_of_the_function() -> None:
    sessions = [Session.objects.create(user_id=user, session_id=user * 2) for user in "abc"]
    either = Compiled[Session](
        lambda one, other: (Session.objects.filter(user_id=other) | Session.objects.filter(session_id=one)).order_by(
            "-user_id"
        )
    )
    assert either("cc", "a") == [sessions[2], sessions[0]]
    assert either("a", "cc") == []
    with pytest.raises(IndexError):
        either("a")


def test_it_is_compiled_once_and_asks_the_database_each_time() -> None:
    made = []

    def make(user: Any) -> Any:
        made.append(user)
        return Session.objects.filter(user_id=user)

    of_user = Compiled[Session](make)
    assert of_user("ann") == []
    Session.objects.create(user_id="ann", session_id="s")
    with CaptureQueriesContext(connection) as queries:
        assert [row.session_id for row in of_user("ann")] == ["s"]
        assert of_user.first("bob") is None
    assert (len(made), len(queries)) == (1, 2)


def test_columns_that_were_left_out_are_read_when_asked_for() -> None:
    Session.objects.create(user_id="ann", session_id="s", title="t")
    row = Compiled[Session](lambda user: Session.objects.filter(user_id=user).only("pk")).first("ann")
    assert row is not None
    assert row.get_deferred_fields() >= {"title", "session_id"}
    assert row.title == "t"


def test_a_row_that_was_read_can_be_saved() -> None:
    Session.objects.create(user_id="ann", session_id="s", title="t")
    row = Compiled[Session](lambda user: Session.objects.filter(user_id=user)).first("ann")
    assert row is not None
    row.title = "changed"
    row.save()
    assert list(Session.objects.values_list("title", flat=True)) == ["changed"]


@pytest.mark.django_db(transaction=True)
def test_a_lock_needs_a_transaction_each_time() -> None:
    session = Session.objects.create(user_id="ann", session_id="s")
    locked = Compiled[Session](lambda pk: Session.objects.select_for_update(no_key=True).filter(pk=pk).only("pk"))
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        assert locked(session.pk) == [session]
    sql = queries[0]["sql"]
    assert ("FOR NO KEY UPDATE" in sql) == (connection.vendor == "postgresql")
    with pytest.raises(TransactionManagementError):
        locked(session.pk)


@pytest.mark.django_db(transaction=True)
def test_threads_share_the_compiled_query_and_each_uses_its_own_connection() -> None:
    for user in range(4):
        Session.objects.create(user_id=f"u{user}", session_id="s")
    of_user = Compiled[Session](lambda user: Session.objects.filter(user_id=user))
    found = in_threads(4, lambda user: [row.user_id for row in of_user(f"u{user}")])
    assert found == [[f"u{user}"] for user in range(4)]
