"""Record of the faults of a chaos run: what was hit, and when."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Blow:
    """One fault. A killed process stays dead; a stall or an outage has an end."""

    kind: str  # kill, stall, broker, database
    at: float  # seconds since the epoch
    pids: tuple[int, ...] = ()
    until: float | None = None


class Blows:
    """All faults, in order. The clients' process reads them from a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.all: list[Blow] = []
        self._tell()

    def struck(self, kind: str, pids: Iterable[int], seconds: float | None = None) -> None:
        """Record a fault that happens now. A stall lasts `seconds`."""
        now = time.time()
        self._note(Blow(kind, now, tuple(pids), None if seconds is None else now + seconds))

    @contextmanager
    def outage(self, kind: str) -> Iterator[None]:
        """Record that a server is away for the duration of the block."""
        blow = Blow(kind, time.time())
        try:
            yield
        finally:
            blow.until = time.time()
            self._note(blow)

    def _note(self, blow: Blow) -> None:
        self.all.append(blow)
        self._tell()

    def _tell(self) -> None:
        tell(self.path, json.dumps([asdict(blow) for blow in self.all]))


def read(path: Path) -> list[Blow]:
    """Return the faults that the process that makes them has recorded."""
    return [Blow(**{**given, "pids": tuple(given["pids"])}) for given in json.loads(path.read_text())]


def tell(path: Path, text: str) -> None:
    """Write a file that another process reads, never half of it."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)
