"""A reviewer in a real browser."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from agents.models import Interrupt

if TYPE_CHECKING:  # only the run's own requirements may be installed
    from playwright.sync_api import Browser, Page

# The shell draws pages as the whole browser does, but starts its windows in a third of the time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
ARGS += ["--disable-component-update", "--disable-sync"]


class Desk:
    """A reviewer at the review pages of the live server."""

    def __init__(self, page: "Page", url: str) -> None:
        self.page, self.url = page, url
        self.errors: list[str] = []
        page.clock.install()
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def log_in(self, name: str, password: str) -> None:
        """Log in by the form, as people do; `logged_in` begins with a session, which costs no pages."""
        self.page.goto(f"{self.url}/admin/login/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", password)
        self.page.click("input[type=submit]")

    def open(self, review: Interrupt) -> None:
        """Open the review, and wait until its keys count."""
        self.page.goto(f"{self.url}/admin/reviews/review/{review.pk}/change/")
        self.rest()

    def queue(self, query: str = "") -> None:
        """Open the queue, and wait until its keys count."""
        self.page.goto(f"{self.url}/admin/reviews/review/{query}")
        self.rest()

    def rest(self) -> None:
        """Keys and buttons are dead for 700 ms after a page has appeared: let them pass on its clock."""
        self.page.wait_for_load_state()
        self.later(800)

    def later(self, milliseconds: int) -> None:
        """Go on as if so much time had passed: what is due on the page happens now. Its clock runs on from there."""
        self.page.clock.fast_forward(milliseconds)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def done(self) -> None:
        """Wait for the page that says what was decided."""
        self.page.wait_for_selector(".messagelist")

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)


@contextmanager
def logged_in(browser: "Browser", url: str, user: User, locale: str = "en-US") -> Iterator[Desk]:
    """A browser of its own for this user."""
    user.set_password("their own")
    user.save()
    context = browser.new_context(locale=locale)
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])
    yield Desk(context.new_page(), url)
    context.close()
