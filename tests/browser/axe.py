"""What axe-core finds on a page, and the counts of the whole run for the end of its output."""

from collections import Counter
from pathlib import Path
from typing import Any

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
IMPACTS = ("critical", "serious", "moderate", "minor")

counted: dict[str, dict[str, Counter[str]]] = {}  # by the name of the page and its look


def serious(page: Any, name: str, look: str) -> list[str]:
    """What it calls serious or critical, each with where it is; everything it finds is counted under these names."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run({exclude: ['.selector']})")["violations"]  # Django's own double list
    counts = counted.setdefault(name, {}).setdefault(look, Counter())
    for one in found:
        counts[one["impact"]] += len(one["nodes"])
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def table() -> list[str]:
    """The counts by page and look, as lines."""
    looks = list(dict.fromkeys(look for row in counted.values() for look in row))
    lines = [f"{'/'.join(IMPACTS):40}" + "".join(f"{look:>14}" for look in looks)]
    for name, row in counted.items():
        cells = ("/".join(str(row[look][impact]) for impact in IMPACTS) if look in row else "" for look in looks)
        lines.append(f"{name:40}" + "".join(f"{cell:>14}" for cell in cells))
    return lines
