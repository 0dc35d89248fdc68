"""Django's cache in Redis, for a service that goes on without it."""

import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError
from typing_extensions import override

logger = logging.getLogger(__name__)

TIMEOUT = 0.5  # seconds for connecting, and for an answer
PAUSE = 5.0  # seconds after a failure in which this process does not try again

T = TypeVar("T")


class TolerantRedisCache(RedisCache):
    """While Redis is away `get` finds nothing and `set` keeps nothing. The service uses no more than these two.

    Not even its short timeouts add up: after a failure the process leaves Redis alone for a while.
    """

    away_until: ClassVar[float] = 0.0  # on the monotonic clock; threads have an instance each, so it is the class's

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        timeouts = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        super().__init__(server, {**params, "OPTIONS": {**timeouts, **params.get("OPTIONS", {})}})

    @override
    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """The default while Redis is away."""
        return self._unless_away(lambda: super(TolerantRedisCache, self).get(key, default, version), default)

    @override
    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Forgotten while Redis is away."""
        self._unless_away(lambda: super(TolerantRedisCache, self).set(key, value, timeout, version), None)

    def _unless_away(self, call: Callable[[], T], otherwise: T) -> T:
        if time.monotonic() < TolerantRedisCache.away_until:
            return otherwise
        try:
            return call()
        except RedisError as error:
            TolerantRedisCache.away_until = time.monotonic() + PAUSE
            logger.warning("the cache is away: rates are not counted for %g s (%s)", PAUSE, error)
            return otherwise
