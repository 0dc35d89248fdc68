"""When this worker last listened to the broker: its consumer notes it, the heartbeats of its processes tell it.

A worker whose consumer hangs has a heart that beats. The time stands in memory that a prefork worker shares with the
processes it forks, as the consumer is in the parent and the heartbeats are in the children.
"""

import mmap
import struct
import time

_noted = mmap.mmap(-1, 8)  # a time on the monotonic clock, which all processes of a machine share; 0: never


def note() -> None:
    """The broker was listened to just now."""
    struct.pack_into("d", _noted, 0, time.monotonic())


def seconds_since() -> float | None:
    """For how long it has not been; None where it never was."""
    (at,) = struct.unpack_from("d", _noted, 0)
    return time.monotonic() - at if at else None
