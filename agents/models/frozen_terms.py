"""Expressions that read terms of a stored verdict in the database, so that queries can filter by who may decide."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from typing_extensions import override


class FrozenTerm(models.Func):
    """One member of the terms in the JSON text of a verdict; NULL if the text has none.

    Args:
        member: its name in `agents.policy.Terms`. A list is returned as its JSON text, exactly as it is stored.
    """

    arity = 1

    def __init__(self, expression: Any, member: str, **extra: Any) -> None:
        super().__init__(expression, member=member, **extra)

    @override
    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **more: Any) -> Any:
        """Return the SQL for SQLite, where `json_extract` returns 0 or 1 for a boolean."""
        template = "json_extract(NULLIF(%(expressions)s, ''), '$.terms.%(member)s')"
        return self.as_sql(compiler, connection, template=template, **more)

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper, **more: Any) -> Any:
        """Return the SQL for PostgreSQL. `json` keeps the text as it is; `jsonb` would rewrite it."""
        template = "(NULLIF(%(expressions)s, '')::json #>> '{terms,%(member)s}')"
        if isinstance(self.output_field, models.BooleanField):
            template += "::boolean"
        return self.as_sql(compiler, connection, template=template, **more)
