"""The clients against a real web server and a real worker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from agentsite import celery_app
from agentsite.accounts import create_key
from tests.support import node
from tests.support.accounts import grant
from tests.support.fork_server import ForkServer
from tests.support.processes import Workers, environment
from tests.support.sites import WebServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests of the TypeScript client where nothing runs it, in one line; never where it is required."""
    if node.NODE or node.IS_REQUIRED:
        return
    for item in items:
        if item.get_closest_marker("node"):
            item.add_marker(pytest.mark.skip(reason=node.MISSING))


@pytest.fixture
def published() -> list[Any]:
    """Here jobs go to the real broker."""
    return []


@pytest.fixture
def workers(
    transactional_db: Any, oracle: None, settings: Any, tmp_path: Path, fork_server: ForkServer
) -> Iterator[Workers]:
    celery_app.control.purge()
    made = Workers(fork_server, environment(settings.OPENAI_BASE_URL), tmp_path)
    yield made
    made.end()


@pytest.fixture
def site(workers: Workers, fork_server: ForkServer, service: User, tmp_path: Path) -> Iterator[WebServer]:
    """A web server; the key of a service account that may also decide."""
    grant(service, "reviews.decide_review")
    made = WebServer(fork_server, workers.env, tmp_path / "web.log", create_key(service, "client"))
    made.start()
    yield made
    made.stop()
