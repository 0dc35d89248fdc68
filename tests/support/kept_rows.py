"""Rows that several tests begin with: made by real runs once, and put back as they were for each of the others."""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.db import transaction


class Kept:
    """All rows of the models, as they were when they were made first.

    Ids stay what they were: none is given twice, because what counts them outlives a test.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._made: Any = None

    def made_by(self, make: Callable[[], Any]) -> Any:
        """Return what `make` returns, and see that its rows are there. `make` needs empty tables, and runs once."""
        if not self.rows:
            self._made = make()
            self.rows = rows()
        else:
            with transaction.atomic():  # keys to other tables are checked at its end
                for row in serializers.deserialize("python", self.rows):
                    row.save(force_insert=True)
        return self._made


def rows() -> list[dict[str, Any]]:
    """Every row of every model, but for what `migrate` fills."""
    found = [row for model in apps.get_models() if _is_ours(model) for row in model._base_manager.order_by("pk")]
    return serializers.serialize("python", found)


def _is_ours(model: Any) -> bool:
    """Tell whether the rows of this model are a test's own, and not another model's or those of `migrate`."""
    return model._meta.managed and not model._meta.proxy and model not in (ContentType, Permission)
