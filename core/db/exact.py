"""Decimals that every database adds exactly, for money."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.db import models
from typing_extensions import override

PLACES = 9  # decimal places that are kept
LARGEST = Decimal(2**63 - 1).scaleb(-PLACES)


def rounded(value: Decimal) -> Decimal:
    """Return the decimal as it is stored. Raises decimal.InvalidOperation if it has more than 28 digits."""
    return value.quantize(Decimal(1).scaleb(-PLACES), ROUND_HALF_EVEN)


class ExactDecimalField(models.BigIntegerField):
    """A decimal, stored as a whole number of billionths: SQLite has no decimals, and would add floating numbers.

    `Sum` of it is a decimal too. No value may be above LARGEST.
    """

    description = "Exact decimal"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        """Return the stored number, or a sum of such numbers, as a decimal."""
        return None if value is None else Decimal(value).scaleb(-PLACES)

    @override
    def to_python(self, value: Any) -> Any:
        return value if value is None else Decimal(value)

    @override
    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else int(rounded(Decimal(value)).scaleb(PLACES))

    @override
    def value_to_string(self, obj: Any) -> str:
        value = self.value_from_object(obj)
        return "" if value is None else str(value)

    @override
    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        """Return no form field: amounts are only shown."""
