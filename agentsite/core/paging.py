"""Lists in pages by `limit` and `cursor`, stable while rows are added."""

import base64
import json
from datetime import datetime
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from agentsite.core.errors import Invalid

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

Row = TypeVar("Row", bound=Model)


def limit_of(request: Request, default: int = DEFAULT_LIMIT) -> int:
    """The request's `limit`, 1 to 1000. Raises Invalid."""
    text = request.query_params.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_LIMIT):
        raise Invalid(errors={"limit": [f"A whole number from 1 to {MAX_LIMIT}."]})
    return int(text)


def page(request: Request, rows: QuerySet[Row], *, newest_first: bool = True) -> tuple[list[Row], str | None]:
    """One page of the rows by (created_at, id), and the cursor of the next one or None. Raises Invalid."""
    limit = limit_of(request)
    if cursor := request.query_params.get("cursor"):
        created_at, pk = _decode(cursor, rows.model)
        side = "lt" if newest_first else "gt"
        rows = rows.filter(
            Q(**{f"created_at__{side}": created_at}) | Q(**{"created_at": created_at, f"pk__{side}": pk})
        )
    order = "-" if newest_first else ""
    found = list(rows.order_by(f"{order}created_at", f"{order}pk")[: limit + 1])
    if len(found) <= limit:
        return found, None
    return found[:limit], _encode(found[limit - 1])


def _encode(row: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.created_at.isoformat(), str(row.pk)]).encode()).decode()


def _decode(cursor: str, model: type[Model]) -> tuple[datetime, Any]:
    try:
        created_at, pk = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None or not isinstance(pk, str):
            raise ValueError("not a cursor of ours")
        pk = model._meta.pk.to_python(pk)
    except (ValueError, TypeError, ValidationError) as error:
        raise Invalid(errors={"cursor": ["Not a cursor that this service gave out."]}) from error
    return moment, pk
