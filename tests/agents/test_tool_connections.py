"""Whatever a tool does to its database connection, the ledger knows what became of the call."""

from contextlib import nullcontext
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from agents.models import ToolCall
from agents.runtime.gate import execution
from agents.runtime.tool_connection import UncommittedWork, is_in_transaction, service_connection, tool_connection
from reviews.decisions.services import Choice, decide
from tests.support.connection_tools import COMMITTED, UNCOMMITTED, change_session, write
from tests.support.helpers import again, answer_of, messages_of, open_review
from tests.support.oracle import calls

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tools(settings: Any, oracle: None) -> None:
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.connection_tools"]}}


def test_a_preview_has_its_own_too(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke("call preview_badly with {}")
    work()
    assert (open_review(task).description, rows()) == ("Its preview leaves a transaction open.", set())
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert "done" in answer_of(task)


@pytest.fixture
def mistreated(invoke: Any, work: Any, reviewer: Any) -> Any:
    """The task after an approved call that treats the connection in this way."""

    def run(way: str, fail: str = "false") -> Any:
        task = invoke(f'call mistreat with {{"way": "{way}", "fail": {fail}}}')
        work()
        decide(open_review(task).pk, reviewer, Choice("accept"))
        work()
        return task

    return run


def told(task: Any) -> str:
    return str(next(m["content"] for m in messages_of(task) if m["type"] == "tool"))


def rows() -> set[str]:
    return set(User.objects.filter(username__in=["lost", "kept"]).values_list("username", flat=True))


@pytest.mark.parametrize("way", UNCOMMITTED)
def test_work_left_uncommitted_is_rolled_back_and_a_reviewed_call_is_in_doubt(mistreated: Any, way: str) -> None:
    task = mistreated(way)
    assert (again(task).status, open_review(task).kind) == ("interrupted", "in_doubt")
    assert ToolCall.objects.get().doubtful
    assert (rows(), calls()) == (set(), [f"mistreat {way}"])


@pytest.mark.parametrize("way", UNCOMMITTED)
def test_of_a_free_call_the_model_is_told(invoke: Any, work: Any, way: str) -> None:
    task = invoke(f'call mistreat_freely with {{"way": "{way}"}}')
    work()
    assert "left a transaction open" in told(task)
    assert (ToolCall.objects.get().status, rows(), calls()) == ("failed", set(), [f"mistreat {way}"])


@pytest.mark.parametrize("way", COMMITTED)
def test_what_it_has_committed_stays_and_its_call_has_succeeded(mistreated: Any, way: str) -> None:
    task = mistreated(way)
    assert "done" in answer_of(task)
    assert (ToolCall.objects.get().status, rows(), calls()) == ("succeeded", {"kept"}, [f"mistreat {way}"])


@pytest.mark.parametrize("way", [*UNCOMMITTED, *COMMITTED])
def test_one_that_raises_as_well_is_in_doubt(mistreated: Any, way: str) -> None:
    assert open_review(mistreated(way, fail="true")).kind == "in_doubt"
    assert rows() == ({"kept"} if way in COMMITTED else set())


@pytest.mark.parametrize("way", [*UNCOMMITTED, *COMMITTED])
def test_the_next_who_uses_the_database_notices_nothing(mistreated: Any, invoke: Any, work: Any, way: str) -> None:
    mistreated(way)
    task = invoke("multiply 6 by 7", session="other")
    work()
    assert "42" in answer_of(task)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT current_setting('search_path') || current_setting('statement_timeout')")
            assert cursor.fetchone() == ('"$user", public0',)
    assert connection.get_autocommit()


def test_control_without_its_own_connection_the_ledger_never_learns_what_became_of_it(
    invoke: Any, work: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(execution, "tool_connection", nullcontext)
    invoke('call mistreat_freely with {"way": "enter_atomic"}')
    work()
    assert (ToolCall.objects.get().status, calls()) == ("started", ["mistreat enter_atomic"])


def test_who_called_has_its_own_connection_back() -> None:
    with transaction.atomic():
        mine = connection.connection
        with tool_connection():
            assert connection.connection is not mine
        assert connection.connection is mine
        assert connection.in_atomic_block


def leave_open(fail: bool) -> None:
    with tool_connection():
        transaction.set_autocommit(False)
        write("lost")
        if fail:
            raise ZeroDivisionError


def test_its_own_error_is_not_replaced() -> None:
    with pytest.raises(ZeroDivisionError):
        leave_open(fail=True)
    assert rows() == set()


def test_an_open_transaction_is_told_with_what_to_do() -> None:
    with pytest.raises(UncommittedWork, match=r"default.*rolled back.*transaction\.atomic"):
        leave_open(fail=False)
    assert rows() == set()


def test_a_call_inside_of_a_tool_is_entered_on_the_services_connection() -> None:
    with tool_connection():
        change_session()
        theirs = connection.connection
        with service_connection():
            assert connection.connection is not theirs
            User.objects.create(username="ours")
        assert connection.connection is theirs
    assert User.objects.filter(username="ours").exists()


@pytest.mark.parametrize("way", ["autocommit_off", "begin", "enter_atomic"])
def test_an_open_transaction_is_seen_whoever_has_begun_it(way: str) -> None:
    with pytest.raises(UncommittedWork):
        see_it_open(way)
    assert not is_in_transaction()


def see_it_open(way: str) -> None:
    with tool_connection():
        UNCOMMITTED[way]()
        assert is_in_transaction()
