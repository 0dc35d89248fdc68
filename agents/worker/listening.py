"""Time when this worker last listened to the broker. Its consumer notes it, and its processes' heartbeats report it.

A heartbeat alone does not show that the consumer is alive. The time is in memory that a prefork worker shares with the
processes it forks, because the consumer is in the parent and the heartbeats are in the children.
"""

import mmap
import struct
import time

_noted = mmap.mmap(-1, 8)  # a time on the monotonic clock, which all processes of a machine share; 0: never


def note() -> None:
    """Record that the worker has just listened to the broker."""
    struct.pack_into("d", _noted, 0, time.monotonic())


def seconds_since() -> float | None:
    """Return the seconds since the worker last listened, or None if it never has."""
    (at,) = struct.unpack_from("d", _noted, 0)
    return time.monotonic() - at if at else None
