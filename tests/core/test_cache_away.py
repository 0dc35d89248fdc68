"""Work is accepted also while the cache that counts requests is away or deaf."""

import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from core.db.cache import PAUSE, TolerantRedisCache

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def not_away_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TolerantRedisCache, "away_until", 0.0)


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def use_redis(settings: Any, port: int) -> None:
    settings.RATE_PRINCIPAL = settings.RATE_USER = settings.RATE_ANONYMOUS = "1/min"
    backend = f"{TolerantRedisCache.__module__}.{TolerantRedisCache.__name__}"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": f"redis://127.0.0.1:{port}/0"}}


def submit(api: Any) -> int:
    body = {"user_id": "ann", "session_id": uuid.uuid4().hex, "query": "hello"}
    return int(api.post("/agent/invoke", body).status_code)


def connections_to(server: socket.socket) -> int:
    count = 0
    try:
        while True:
            server.accept()[0].close()
            count += 1
    except BlockingIOError:
        return count


def test_with_the_cache_away_it_is_a_202(api: Any, settings: Any) -> None:
    use_redis(settings, port=9)
    assert [submit(api) for _ in range(3)] == [202, 202, 202]


def test_with_a_deaf_cache_too_and_only_the_first_request_waits_for_it(api: Any, settings: Any, deaf: Any) -> None:
    use_redis(settings, deaf.getsockname()[1])
    assert [submit(api) for _ in range(3)] == [202, 202, 202]
    assert connections_to(deaf) == 1


def test_a_stranger_still_gets_a_401(client: Any, settings: Any) -> None:
    use_redis(settings, port=9)
    assert [client.get("/system/info").status_code for _ in range(2)] == [401, 401]


def test_figures_are_counted_anew(api: Any, settings: Any) -> None:
    use_redis(settings, port=9)
    settings.RATE_PRINCIPAL = ""
    assert api.get("/system/info").status_code == 200


def test_it_is_tried_again_after_a_while(settings: Any, deaf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use_redis(settings, deaf.getsockname()[1])
    assert cache.get("x", "nothing") == "nothing"
    later = time.monotonic() + PAUSE + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert cache.get("x", "nothing") == "nothing"
    assert connections_to(deaf) == 2


def test_the_log_says_so_once(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    use_redis(settings, port=9)
    cache.set("x", 1)
    assert cache.get("x") is None
    assert len([line for line in caplog.messages if "the cache is away" in line]) == 1
