"""The Swagger UI under the strict content security policy, without anything from elsewhere."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from agentsite.accounts import create_key
from tests.support.browser import Desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def docs(desk: Any) -> Any:
    """The page of a person who is logged in to the admin, with every request that it made."""
    docs: Any = Desk(desk.page.context.new_page(), desk.url)  # what the login's page logs is not the subject here
    docs.requests = []
    docs.page.on("request", lambda request: docs.requests.append(request.url))
    docs.page.goto(f"{docs.url}/docs")
    docs.page.wait_for_selector(".opblock-summary")
    return docs


def test_it_shows_the_operations_and_the_console_stays_empty(docs: Any) -> None:
    shown = docs.page.locator(".opblock-summary-description").all_text_contents()
    assert {"Submit a task", "Decide a review", "Check that the process is alive"} <= set(shown)
    assert docs.errors == []


def test_it_loads_nothing_from_elsewhere(docs: Any) -> None:
    docs.page.wait_for_load_state("networkidle")
    assert [url for url in docs.requests if not url.startswith((docs.url, "data:"))] == []


def test_a_call_can_be_tried_out_with_a_key(docs: Any, service: User) -> None:
    docs.page.get_by_role("button", name="Authorize").first.click()
    docs.page.fill(".auth-container input", create_key(service, "docs"))
    docs.page.locator(".auth-btn-wrapper .authorize").click()
    docs.page.locator(".btn-done").click()
    call = docs.page.locator("#operations-sessions-list_sessions")
    call.locator(".opblock-summary-control").click()
    call.locator("input[placeholder=user_id]").fill("ann")
    call.get_by_role("button", name="Execute").click()
    answer = call.locator(".live-responses-table .response")
    answer.wait_for()
    assert '"session_ids": []' in answer.text_content()
    assert docs.errors == []
