"""Named places where a test can kill the process. Active only with DEBUG, and if AGENTSITE_FAILPOINTS names one.

`AGENTSITE_FAILPOINTS="after-entry=/tmp/fired"` kills the process the first time that it passes `after-entry`. The file
that this creates keeps the next process from dying there too.
"""

import os
import signal
from pathlib import Path

from django.conf import settings

NAMES = tuple(
    f"{when}-{what}"
    for what in ("claim", "entry", "call", "result", "checkpoint", "pause", "decision", "answer")
    for when in ("before", "after")
)
_armed = dict(pair.split("=", 1) for pair in os.environ.get("AGENTSITE_FAILPOINTS", "").split(",") if "=" in pair)


def here(name: str) -> None:
    """Kill the process if this place is named and has not killed one before."""
    if _armed and settings.DEBUG and name in _armed:
        _fire(Path(_armed[name]))


def _fire(marker: Path) -> None:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
