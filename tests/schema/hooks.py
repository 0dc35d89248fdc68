"""What Schemathesis is told beyond the schema; it imports this into a process of its own."""

import base64
import json
from typing import Any

import schemathesis
from hypothesis import strategies as st


def cursor(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


# Cursors are opaque, so the schema can't say what they look like; these are such as the lists give out.
rows = cursor("2026-11-25T12:00:00+00:00", "00000000-0000-4000-8000-000000000000")
schemathesis.openapi.format("cursor", st.just(rows))
schemathesis.openapi.format("message-cursor", st.just(cursor(1, 0)))
days = cursor("2026-11-25")
schemathesis.openapi.format("usage-cursor", st.just(days))


@schemathesis.hook
def filter_query(context: Any, query: dict[str, Any] | None) -> bool:
    """OpenAPI has no words for parameters that exclude each other: a search for memories has one page only."""
    given = query or {}
    return not (given.get("query") and given.get("cursor") == rows) and "token" not in given


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Leave out what depends on another parameter: a cursor of sums is of one grouping, an event's id of one stream.

    And the first day of a time is not behind its last one.
    """
    query = case.query or {}
    if query.get("from") and query.get("to") and str(query["from"]) > str(query["to"]):
        del query["to"]
    if query.get("cursor") == days and query.get("group_by") in ("session", "task"):
        del query["cursor"]
    if case.headers and "stream" in case.operation.path:
        case.headers.pop("Last-Event-ID", None)
