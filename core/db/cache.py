"""Redis cache for a service that also works without it."""

import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError
from typing_extensions import override

logger = logging.getLogger(__name__)

TIMEOUT = 0.5  # seconds to connect, and to wait for a response
PAUSE = 5.0  # seconds after a failure before this process tries again

T = TypeVar("T")


class TolerantRedisCache(RedisCache):
    """Redis cache in which, while Redis is away, `get` finds nothing and `set` stores nothing.

    The service uses only these two methods. After a failure the process does not try Redis for PAUSE seconds, so that
    even short timeouts do not add up.
    """

    away_until: ClassVar[float] = 0.0  # on the monotonic clock; on the class, as each thread has its own instance

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        timeouts = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        super().__init__(server, {**params, "OPTIONS": {**timeouts, **params.get("OPTIONS", {})}})

    @override
    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the cached value, or the default while Redis is away."""
        return self._unless_away(lambda: super(TolerantRedisCache, self).get(key, default, version), default)

    @override
    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store the value, unless Redis is away."""
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
