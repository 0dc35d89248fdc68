"""The kill switch in a browser: pause by the form, see the banner on another page, resume by the button."""

import os
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Interrupt, Pause
from reviews import pauses
from tests.browser import axe
from tests.support.accounts import grant
from tests.support.browser import Desk, logged_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "The payment provider answers twice for each call; nobody knows which of them counts. " * 3


@pytest.fixture
def operator(browser: Any, live_server: Any, db: Any) -> Any:
    olga = User.objects.create_user("olga", is_staff=True)
    with logged_in(browser, live_server.url, grant(olga, "agents.pause_work", "reviews.view_review")) as made:
        yield made


def look(desk: Desk, name: str) -> None:
    """Keep a picture where somebody wants to look at it."""
    if folder := os.environ.get("LOOK"):
        desk.page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_pause_by_the_form_and_resume_by_the_button(operator: Desk, booking: Interrupt) -> None:
    page = operator.page
    page.goto(f"{operator.url}/admin/agents/pause/add/")
    page.select_option("#id_scope", "tool")
    page.fill("#id_value", "book_hotel")
    page.fill("#id_reason", LONG)
    look(operator, "pause-form")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_selector(".paused")
    look(operator, "pause-page")
    page.goto(f"{operator.url}/admin/reviews/review/{booking.pk}/change/")
    assert "The tool book_hotel is paused" in page.inner_text(".paused")
    look(operator, "pause-banner")
    page.click(".paused a")
    operator.button("Resume").click()
    page.wait_for_selector(".messagelist")
    assert page.locator(".paused").count() == 0
    assert Pause.objects.get().lifted_by_name == "olga"
    assert operator.errors == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_pages_are_accessible_and_fit(
    operator: Desk, dark: bool, width: int, request: pytest.FixtureRequest
) -> None:
    for scope, value in (("everything", ""), ("tool", "x" * 200), ("user", "ann")):
        row, _ = pauses.pause(scope, value, LONG, pauses.Actor("manage.py:root@a-host.example.com"))
    page = operator.page
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.set_viewport_size({"width": width, "height": 900})
    for name, path in (("list", ""), ("page", f"{row.pk}/change/"), ("add", "add/")):
        page.goto(f"{operator.url}/admin/agents/pause/{path}")
        look(operator, f"pauses-{name}-{width}-{'dark' if dark else 'light'}")
        assert axe.look_at(page, f"pause {name}", f"{'dark' if dark else 'light'} {width}", request.node) == []
        banner = page.locator(".paused").bounding_box()
        assert banner is not None
        assert banner["x"] + banner["width"] <= width
