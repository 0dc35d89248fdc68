"""Time by the database's clock, the one clock that all processes share."""

from datetime import timedelta
from typing import Any

from django.db.models import DateTimeField, ExpressionWrapper, FloatField, Func, functions
from django.db.models.expressions import Combinable
from typing_extensions import override


class Now(functions.Now):
    """The moment of the statement, in the very form in which Django writes and compares datetimes."""

    @override
    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        """Write six digits where Django's Now writes three: as text, `.123` is not the `.123000` that Django looks for.

        The last digit is a 1, because Django leaves the fraction out where it is 0.
        """
        template = "STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f001', 'NOW')"
        return self.as_sql(compiler, connection, template=template, **extra_context)


def seconds_from_now(seconds: float) -> Combinable:
    """An expression for the moment `seconds` from now (before now when negative), for updates and filters."""
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())


class SecondsSince(Func):
    """How many seconds have gone by since a moment until the statement."""

    arity = 1
    output_field = FloatField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        """Called by each database's compiler for its own way of saying it."""
        template = "EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - %(expressions)s)::double precision"
        return self.as_sql(compiler, connection, template=template, **extra_context)

    @override
    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        """Exact to the millisecond."""
        template = "((JULIANDAY('NOW') - JULIANDAY(%(expressions)s)) * 86400.0)"
        return self.as_sql(compiler, connection, template=template, **extra_context)
