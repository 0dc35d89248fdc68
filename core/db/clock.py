"""Time by the database's clock, the only clock that all processes share."""

from datetime import timedelta
from typing import Any

from django.db.models import DateTimeField, ExpressionWrapper, FloatField, Func, functions
from django.db.models.expressions import Combinable
from typing_extensions import override


class Now(functions.Now):
    """Time of the statement, in the format in which Django writes and compares datetimes."""

    @override
    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        """Write six fractional digits where Django's Now writes three, because `.123` and `.123000` differ as text.

        The last digit is a 1, because Django omits a fraction of 0.
        """
        template = "STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f001', 'NOW')"
        return self.as_sql(compiler, connection, template=template, **extra_context)


def seconds_from_now(seconds: float) -> Combinable:
    """Return an expression for the time `seconds` from now (before now if negative), for updates and filters."""
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())


class SecondsSince(Func):
    """Number of seconds from a given time until the statement."""

    arity = 1
    output_field = FloatField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        """Return the SQL for PostgreSQL; Django calls the method of the database in use."""
        template = "EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - %(expressions)s)::double precision"
        return self.as_sql(compiler, connection, template=template, **extra_context)

    @override
    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        """Return the SQL for SQLite, exact to the millisecond."""
        template = "((JULIANDAY('NOW') - JULIANDAY(%(expressions)s)) * 86400.0)"
        return self.as_sql(compiler, connection, template=template, **extra_context)
