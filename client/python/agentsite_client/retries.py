"""When a request that failed is sent again."""

import random
import time

from agentsite_client.errors import NO_JSON, AgentsiteError, ApiError, Unreachable

FIRST, LONGEST = 0.25, 10.0  # seconds between two tries: they double from the one to the other
REFUSED = {429, 503}  # statuses with which nothing was changed
UNSURE = {502, 504}  # statuses of a proxy, which does not know what became of the request


def is_passing(error: AgentsiteError, *, repeatable: bool) -> bool:
    """Tell whether the same request may succeed later, and can be sent again without being done twice.

    Args:
        error: what the request failed with.
        repeatable: whether the service recognizes the request if it gets it twice.
    """
    if isinstance(error, ApiError) and error.status in REFUSED:
        return True
    if is_unsure(error):
        return repeatable
    return isinstance(error, Unreachable)


def is_unsure(error: AgentsiteError) -> bool:
    """Tell whether the request may have been done all the same."""
    if isinstance(error, ApiError):
        return error.status in UNSURE
    return isinstance(error, Unreachable) and error.was_sent


def is_missing(error: AgentsiteError) -> bool:
    """Tell whether the service says that there is no such object."""
    return isinstance(error, ApiError) and error.status == 404 and error.code != NO_JSON


class Tries:
    """The tries of one request, and the pauses between them."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.forget()

    def forget(self) -> None:
        """Begin anew, because the request has succeeded meanwhile."""
        self._count, self._until = 0, 0.0

    def pause_after(self, error: AgentsiteError) -> float:
        """Return the seconds to wait before the next try. Raises the error if the patience does not last that long."""
        now = time.monotonic()
        if self._count == 0:
            self._until = now + self._patience
        seconds = min(FIRST * 2**self._count, LONGEST) * random.uniform(0.5, 1)
        if isinstance(error, ApiError):
            seconds = max(seconds, error.retry_after or 0.0)
        if now + seconds > self._until:
            raise error
        self._count = min(self._count + 1, 30)
        return seconds
