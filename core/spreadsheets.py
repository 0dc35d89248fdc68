"""Rows as CSV that spreadsheets read as data, and never as formulas."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any


class _Line:
    """File-like object for csv.writer that returns what is written."""

    def write(self, text: str) -> str:
        return text


def lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield a line for each row."""
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow([_inert(value) for value in row])


def _inert(value: Any) -> Any:
    """Return the value, quoted if a spreadsheet would take it for a formula, such as `@x` or `-x`."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
