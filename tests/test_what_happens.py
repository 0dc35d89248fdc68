"""Each row of docs/reference/what-happens.md and docs/reference/model-oddities.md names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "docs" / "reference" / name for name in ("what-happens.md", "model-oddities.md")]
TEST = re.compile(r"`((?:tests|benchmarks)/[\w/]+\.py)(?:::(\w+))?`")
NAMED = [found for page in PAGES for found in TEST.findall(page.read_text())]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_it_is_there(path: str, name: str) -> None:
    assert not name or f"def {name}(" in (ROOT / path).read_text()
    assert (ROOT / path).exists()


def test_there_are_many() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_row_names_one(page: Path) -> None:
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")][1:]
    assert [row for row in rows if not TEST.search(row)] == []
