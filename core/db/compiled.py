"""Queries whose SQL Django's ORM makes once in a process.

Each run reads the same few rows by the same few filters, and to build and compile a query takes the ORM longer than the
database takes to answer it.
"""

import inspect
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Expression, Model, QuerySet
from django.db.transaction import TransactionManagementError
from typing_extensions import override

M = TypeVar("M", bound=Model)


class Given(Expression):
    """Place of a value in a query that is compiled before the value is known."""

    def __init__(self, position: int) -> None:
        super().__init__()
        self.position = position

    @override
    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


@dataclass(frozen=True)
class _Plan:
    sql: str
    params: Sequence[Any]  # `Given` stands for a value
    names: list[str]  # of the columns
    converters: list[tuple[int, Sequence[Callable[..., Any]], Any]]  # a column's position, converters and expression
    locks: bool  # the rows, until the transaction ends


class Compiled(Generic[M]):
    """A queryset of one model as a function of values: strings, numbers, booleans or UUIDs, never None.

    `make` builds the queryset and gets a place for each value, which it may compare with a field. Whatever else it
    filters by is fixed when the first call compiles it.
    """

    def __init__(self, make: Callable[..., QuerySet[M]]) -> None:
        self._make = make
        self._known: tuple[_Plan, type[M]] | None = None  # threads that find none make the same one

    def __call__(self, *values: Any) -> list[M]:
        """Return the rows. Raises TransactionManagementError if it locks them and there is no transaction."""
        plan, model = self._planned()
        if plan.locks and not connection.in_atomic_block:
            raise TransactionManagementError("A lock without a transaction would end with its statement.")
        given = [_bound(values[one.position]) if isinstance(one, Given) else one for one in plan.params]
        with connection.cursor() as cursor:
            cursor.execute(plan.sql, given)
            found = [list(row) for row in cursor.fetchall()]
        for position, converters, expression in plan.converters:
            for row in found:
                for convert in converters:
                    row[position] = convert(row[position], expression, connection)
        return [model.from_db(DEFAULT_DB_ALIAS, plan.names, row) for row in found]

    def first(self, *values: Any) -> M | None:
        """Return the first row, or None."""
        return next(iter(self(*values)), None)

    def _planned(self) -> tuple[_Plan, type[M]]:
        if self._known is None:
            rows = self._make(*map(Given, range(len(inspect.signature(self._make).parameters))))
            self._known = _compiled(rows), rows.model
        return self._known


def _compiled(rows: QuerySet[Any]) -> _Plan:
    compiler = rows.query.get_compiler(DEFAULT_DB_ALIAS)
    sql, params = compiler.as_sql()
    columns = [column for column, _, _ in compiler.select]
    converters = [(at, found, column) for at, (found, column) in compiler.get_converters(columns).items()]
    names = [column.target.attname for column in columns]
    return _Plan(sql, params, names, converters, rows.query.select_for_update)


def _bound(value: Any) -> Any:
    """Return the value as the database driver takes it."""
    if isinstance(value, uuid.UUID) and not connection.features.has_native_uuid_field:
        return value.hex
    return value
