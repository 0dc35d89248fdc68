"""Pagination by `limit` and `cursor`, stable while rows are added."""

import base64
import json
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from core.errors import Invalid

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

Row = TypeVar("Row", bound=Model)


def limit_of(request: Request, default: int = DEFAULT_LIMIT) -> int:
    """Return the request's `limit`, from 1 to 1000. Raises Invalid."""
    text = request.query_params.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_LIMIT):
        raise Invalid(errors={"limit": [f"Must be a whole number from 1 to {MAX_LIMIT}."]})
    return int(text)


def page(request: Request, rows: QuerySet[Row], *, newest_first: bool = True) -> tuple[list[Row], str | None]:
    """Return one page of the rows by (created_at, id), and the cursor of the next page or None. Raises Invalid."""
    limit = limit_of(request)
    if cursor := request.query_params.get("cursor"):
        created_at, pk = _decode(cursor, rows.model)
        side = "lt" if newest_first else "gt"
        # The first condition lets the database begin in the middle of an index, which it can't do for an OR.
        rows = rows.filter(
            Q(**{f"created_at__{side}": created_at}) | Q(**{f"pk__{side}": pk}),
            **{f"created_at__{side}e": created_at},
        )
    order = "-" if newest_first else ""
    found = list(rows.order_by(f"{order}created_at", f"{order}pk")[: limit + 1])
    if len(found) <= limit:
        return found, None
    last: Any = found[limit - 1]
    return found[:limit], encode(last.created_at.isoformat(), str(last.pk))


def encode(*values: str | int) -> str:
    """Return an opaque cursor for the start of the next page, which clients send back unchanged."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def decode(cursor: str, *kinds: type) -> list[Any]:
    """Return the values of a cursor. Raises Invalid unless they have exactly these types."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
            raise ValueError("not a cursor of ours")
    except (ValueError, RecursionError) as error:
        raise foreign() from error
    return values


def _decode(cursor: str, model: type[Model]) -> tuple[datetime, Any]:
    created_at, pk = decode(cursor, str, str)
    try:
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None:
            raise ValueError("not a cursor of ours")
        # In UTC, so that a time out of range fails here and not in the database.
        return moment.astimezone(UTC), model._meta.pk.to_python(pk)
    except (ValueError, OverflowError, ValidationError) as error:
        raise foreign() from error


def foreign() -> Invalid:
    """Return the error for a cursor that was not made by `encode` for this list."""
    return Invalid(errors={"cursor": ["Not a valid cursor. Send the value of `next` from the previous page."]})
