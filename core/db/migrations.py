"""Operations for migrations of large tables, which must not keep a running service from writing."""

from typing import Any

from django.db.migrations.operations import AddConstraint, AddIndex, AlterField
from django.db.models import UniqueConstraint
from typing_extensions import override

NEW = "_new"  # suffix of the index that becomes the constraint


class AddIndexOnline(AddIndex):
    """AddIndex that blocks no writes on PostgreSQL. Its migration is not atomic, and can be repeated if it is stopped.

    Django's AddIndexConcurrently is for PostgreSQL only.
    """

    @override
    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        elif self.allow_migrate_model(schema_editor.connection.alias, model):
            # PostgreSQL keeps an invalid index if it could not be completed.
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema_editor.quote_name(self.index.name)}")
            schema_editor.add_index(model, self.index, concurrently=True)


class PrepareUnique(AddConstraint):
    """First half of AddUniqueOnline: the index, in a migration of its own that is not atomic."""

    constraint: UniqueConstraint

    @override
    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing: the constraint does not exist yet."""

    @override
    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            model = to_state.apps.get_model(app_label, self.model_name)
            quote, name = schema_editor.quote_name, f"{self.constraint.name}{NEW}"
            columns = ", ".join(quote(model._meta.get_field(field).column) for field in self.constraint.fields)
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {quote(name)}")
            schema_editor.execute(
                f"CREATE UNIQUE INDEX CONCURRENTLY {quote(name)} ON {quote(model._meta.db_table)} ({columns})"
            )

    @override
    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Change nothing: the index belongs to the constraint, which is removed before."""


class AddUniqueOnline(AddConstraint):
    """AddConstraint that uses, on PostgreSQL, the index that `PrepareUnique` has made."""

    constraint: UniqueConstraint

    @override
    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        quote, name = schema_editor.quote_name, self.constraint.name
        schema_editor.execute(
            f"ALTER TABLE {quote(table)} ADD CONSTRAINT {quote(name)} UNIQUE USING INDEX {quote(name + NEW)}"
        )


class DropFieldIndex(AlterField):
    """AlterField that takes a field's own index away (`db_index=False`) and nothing else.

    On PostgreSQL, Django's AlterField drops all indexes of that one column, those of conditional constraints too.
    """

    @override
    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        column = model._meta.get_field(self.name).column
        kept = {index.name for index in model._meta.indexes}
        for name in schema_editor._constraint_names(
            model, [column], index=True, unique=False, primary_key=False, exclude=kept
        ):
            schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")
