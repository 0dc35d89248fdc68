"""Budgets in a browser: add one by the form, and decide the review of one that is used up."""

import os
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Budget, BudgetExtension, Interrupt
from tests.browser import axe
from tests.support.accounts import grant
from tests.support.browser import Desk, logged_in
from tests.support.budget_rows import budget, question
from tests.support.helpers import again

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PRICES = '{"demo": {"input": 400, "cached_input": 100, "output": 1600}}'


@pytest.fixture
def operator(browser: Any, live_server: Any, db: Any) -> Any:
    olga = User.objects.create_user("olga", is_staff=True)
    rights = [f"agents.{action}_budget" for action in ("add", "change", "view")]
    rights += ["reviews.view_review", "reviews.decide_review"]
    with logged_in(browser, live_server.url, grant(olga, *rights)) as made:
        yield made


@pytest.fixture
def asked(settings: Any, invoke: Any, work: Any) -> Interrupt:
    settings.MODEL_PRICES = PRICES
    budget("0.25", "money", name="Each user of the travel desk", scope="each_user", period="day", assumed="0.05")
    task = invoke("multiply 6 by 7, then multiply 2 by 3, then multiply 4 by 5")
    work()
    return question(task)


def look(desk: Desk, name: str) -> None:
    """Keep a picture where somebody wants to look at it."""
    if folder := os.environ.get("LOOK"):
        desk.page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_add_a_budget_by_the_form(operator: Desk) -> None:
    page = operator.page
    page.goto(f"{operator.url}/admin/agents/budget/add/")
    page.fill("#id_name", "small")
    page.select_option("#id_unit", "tokens")
    page.fill("#id_limit", "50000")
    look(operator, "budget-form")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_selector(".errornote")
    page.fill("#id_assumed", "4000")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_selector(".messagelist")
    assert Budget.objects.get().assumed == 4000
    assert operator.errors == []


def test_extend_in_the_panel(operator: Desk, asked: Interrupt, work: Any) -> None:
    page = operator.page
    page.goto(f"{operator.url}/admin/reviews/review/{asked.pk}/change/")
    operator.rest()
    page.keyboard.press("x")
    page.fill("#id_amount", "2.5")
    look(operator, "budget-panel")
    page.keyboard.press("Control+Enter")
    operator.done()
    assert str(BudgetExtension.objects.get().amount) == "2.500000000"
    work()
    assert again(asked.task).status == "completed"
    assert operator.errors == []


def test_a_habitual_approval_extends_nothing(operator: Desk, asked: Interrupt) -> None:
    operator.page.goto(f"{operator.url}/admin/reviews/review/{asked.pk}/change/")
    operator.rest()
    for key in ("a", "r", "Control+Enter", "Enter"):
        operator.page.keyboard.press(key)
    operator.page.wait_for_timeout(300)
    assert not BudgetExtension.objects.exists()
    assert again(asked.task).status == "interrupted"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_pages_are_accessible_and_fit(
    operator: Desk, asked: Interrupt, dark: bool, width: int, request: pytest.FixtureRequest
) -> None:
    page = operator.page
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.set_viewport_size({"width": width, "height": 900})
    budgets = "/admin/agents/budget/"
    own = f"{budgets}{Budget.objects.get().pk}/change/"
    paths = {"review": f"/admin/reviews/review/{asked.pk}/change/", "list": budgets, "page": own}
    for name, path in paths.items():
        page.goto(f"{operator.url}{path}")
        if name == "review":
            page.locator("#extend summary").click()
        look(operator, f"budget-{name}-{width}-{'dark' if dark else 'light'}")
        assert axe.look_at(page, f"budget {name}", f"{'dark' if dark else 'light'} {width}", request.node) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
