"""Each row of docs/reference/what-happens.md and docs/reference/model-oddities.md names a test.

tests/test_docs.py checks that the tests exist.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "docs" / "reference" / name for name in ("what-happens.md", "model-oddities.md")]
TEST = re.compile(r"`(?:tests|benchmarks)/[\w/]+\.py(?:::\w+)?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_row_names_one(page: Path) -> None:
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    assert [row for row in rows if not TEST.search(row)] == []
