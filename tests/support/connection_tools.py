"""Tools that do to their database connection what tools may do, after an effect outside: a line of the oracle."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db import DatabaseError, connection, connections, transaction
from langchain_core.tools import tool

from agents.policy import Declaration, Terms, declare
from tests.support.oracle import trace


def autocommit_off() -> None:
    transaction.set_autocommit(False)
    write("lost")


def begin() -> None:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
    write("lost")


def enter_atomic() -> None:
    transaction.atomic().__enter__()
    write("lost")


def enter_atomic_and_close() -> None:
    transaction.atomic().__enter__()
    write("lost")
    connection.close()


def break_transaction() -> None:
    transaction.atomic().__enter__()
    write("lost")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")
    except DatabaseError:
        return  # swallowed, and the transaction is broken


def lock_table() -> None:
    transaction.set_autocommit(False)
    User.objects.update(first_name="lost")


def commit_by_itself() -> None:
    transaction.set_autocommit(False)
    write("kept")
    transaction.commit()


def close() -> None:
    write("kept")
    connection.close()


def close_all() -> None:
    write("kept")
    connections.close_all()


def close_the_drivers() -> None:
    write("kept")
    connection.connection.close()


def change_session() -> None:
    write("kept")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET search_path TO nowhere")
            cursor.execute("SET statement_timeout TO 1")
            cursor.execute("SET default_transaction_read_only TO on")
            cursor.execute("SET TIME ZONE 'Asia/Tokyo'")
    else:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only = ON")


def replace_wrapper() -> None:
    connections["default"] = connections["default"].copy()
    write("kept")


UNCOMMITTED: dict[str, Callable[[], None]] = {
    one.__name__: one
    for one in (autocommit_off, begin, enter_atomic, enter_atomic_and_close, break_transaction, lock_table)
}
COMMITTED: dict[str, Callable[[], None]] = {
    one.__name__: one
    for one in (commit_by_itself, close, close_all, close_the_drivers, change_session, replace_wrapper)
}
WAYS = UNCOMMITTED | COMMITTED


def write(name: str) -> None:
    """A row of the tool's own."""
    User.objects.create(username=name)


@tool
def mistreat(way: str, fail: bool = False) -> str:
    """Reviewed."""
    trace(f"mistreat {way}")
    WAYS[way]()
    if fail:
        raise OSError("the other side hung up")
    return "done"


@declare(Declaration(review=None))
@tool
def mistreat_freely(way: str, fail: bool = False) -> str:
    """Free."""
    trace(f"mistreat {way}")
    WAYS[way]()
    if fail:
        raise OSError("the other side hung up")
    return "done"


def open_and_write(args: dict[str, Any]) -> str:
    enter_atomic()
    return "never seen"


@declare(Declaration(review=Terms(), preview=open_and_write))
@tool
def preview_badly() -> str:
    """Its preview leaves a transaction open."""
    return "done"
