"""Log lines as they would stand in the file."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.logs import written


@pytest.fixture
def line_log() -> Iterator[Callable[[], list[str]]]:
    """Lines for people."""
    with written("line") as lines:
        yield lines


@pytest.fixture
def json_log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Events as JSON."""
    with written("json") as lines:
        yield lambda: [json.loads(line) for line in lines()]
