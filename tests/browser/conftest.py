"""A real browser on the real pages, on a live server."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.support.accounts import grant
from tests.support.browser import ARGS, CHROMIUM, Desk, logged_in

try:
    from playwright.sync_api import Browser, sync_playwright
except ImportError:  # only the run's own requirements are installed
    sync_playwright = None  # type: ignore[assignment]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the browser's tests out where there is none, in one line; never where they are required."""
    if (CHROMIUM and sync_playwright is not None) or "browser" in os.environ.get("AGENTSITE_TEST_REQUIRE", "").split(
        ","
    ):
        return
    reason = "no Chromium (or no playwright) on this machine: the tests in a browser are left out"
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def desk(browser: "Browser", live_server: Any, reviewer: User) -> Iterator[Desk]:
    with logged_in(browser, live_server.url, reviewer) as made:
        yield made


@pytest.fixture
def another(browser: "Browser", live_server: Any, db: Any) -> Iterator[Desk]:
    """That of a second reviewer, vera."""
    vera = grant(User.objects.create_user("vera", is_staff=True), "reviews.decide_review")
    with logged_in(browser, live_server.url, vera) as made:
        yield made
