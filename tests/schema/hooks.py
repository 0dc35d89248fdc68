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
    """Leave out parameters that exclude each other, for which OpenAPI has no words.

    A search for memories has one page only, cursors of sums are of one grouping, and a token goes before the key.
    """
    given = query or {}
    of_others = given.get("cursor") == days and given.get("group_by") in ("session", "task")
    return not (given.get("query") and given.get("cursor") == rows) and not of_others and "token" not in given
