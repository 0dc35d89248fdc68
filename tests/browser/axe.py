"""What axe-core finds on a page, and the counts of the whole run for the end of its output."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
IMPACTS = ("critical", "serious", "moderate", "minor")
Counts = dict[str, dict[str, Counter[str]]]  # by the name of the page and its look


def violations(page: Any) -> list[dict[str, Any]]:
    """Run axe-core on the page. Django's own double list is left out."""
    page.evaluate(AXE)
    return list(page.evaluate("axe.run({exclude: ['.selector']})")["violations"])


def look_at(page: Any, name: str, look: str, test: pytest.Item) -> list[str]:
    """Return what axe-core calls serious, and keep its counts for the end of the run (tests/environment.py)."""
    found = violations(page)
    test.user_properties.append(("axe", (name, look, [(one["impact"], len(one["nodes"])) for one in found])))
    return serious(found)


def serious(found: list[dict[str, Any]]) -> list[str]:
    """Describe what it calls serious or critical, each with where it is."""
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def table(rows: Iterable[tuple[str, str, list[tuple[str, int]]]]) -> list[str]:
    """Return the counts by page and look, as lines. Each row is a page, a look and how many nodes of which impact."""
    counted: Counts = {}
    for name, look, found in rows:
        counts = counted.setdefault(name, {}).setdefault(look, Counter())
        for impact, nodes in found:
            counts[impact] += nodes
    looks = list(dict.fromkeys(look for row in counted.values() for look in row))
    lines = [f"{'/'.join(IMPACTS):40}" + "".join(f"{look:>14}" for look in looks)]
    for name, row in counted.items():
        cells = ("/".join(str(row[look][impact]) for impact in IMPACTS) if look in row else "" for look in looks)
        lines.append(f"{name:40}" + "".join(f"{cell:>14}" for cell in cells))
    return lines
