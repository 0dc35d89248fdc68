"""Named places where a test can kill the process. Nothing unless AGENTSITE_FAILPOINTS names one, and only with DEBUG.

`AGENTSITE_FAILPOINTS="after-entry=/tmp/fired"` kills the process the first time that it passes `after-entry`;
the file that is made then keeps the next process from dying there too.
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
    """The place of this name has been reached."""
    if _armed and settings.DEBUG and name in _armed:
        _fire(Path(_armed[name]))


def _fire(marker: Path) -> None:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
