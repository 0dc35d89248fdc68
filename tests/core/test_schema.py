"""The database has what the models declare: migrations have lost no constraint and no index."""

from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models

pytestmark = pytest.mark.django_db

OURS = ("core", "agents", "reviews", "memory", "notices")
MODELS = [model for label in OURS for model in apps.get_app_config(label).get_models() if not model._meta.proxy]


def found(table: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        return dict(connection.introspection.get_constraints(cursor, table))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_each_constraint_and_index_is_there(model: type[models.Model]) -> None:
    there = found(model._meta.db_table)
    declared = {one.name for one in (*model._meta.constraints, *model._meta.indexes)}
    assert declared - set(there) == set()
    unique = {one.name for one in model._meta.constraints if isinstance(one, models.UniqueConstraint)}
    assert {name for name in unique if not there[name]["unique"]} == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_there_is_no_index_that_nobody_declares(model: type[models.Model]) -> None:
    fields: list[Any] = [
        field
        for field in model._meta.local_fields
        if getattr(field, "db_index", False) or field.unique or field.primary_key
    ]
    declared = {one.name for one in (*model._meta.constraints, *model._meta.indexes)}
    columns = {field.column for field in fields}
    extra = {
        name: about["columns"]
        for name, about in found(model._meta.db_table).items()
        if about["index"] and name not in declared and not set(about["columns"]) <= columns
    }
    assert extra == {}
