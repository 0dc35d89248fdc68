"""Each row of docs/what-happens.md names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "what-happens.md").read_text())


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_it_is_there(path: str, name: str) -> None:
    assert not name or f"def {name}(" in (ROOT / path).read_text()
    assert (ROOT / path).exists()


def test_there_are_many() -> None:
    assert len(NAMED) > 20
