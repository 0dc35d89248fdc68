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


@schemathesis.hook
def filter_query(context: Any, query: dict[str, Any] | None) -> bool:
    """OpenAPI has no words for two parameters that exclude each other: a search for memories has one page only."""
    return not (query and query.get("query") and query.get("cursor") == rows)
