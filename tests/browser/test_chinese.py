"""Acceptance check 15 of the desk, for what scripts make: after them, too, a Chinese page holds no English string."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Interrupt
from reviews.policy.conditions import OPERATORS
from tests.support.browser import Desk
from tests.support.chinese import english

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DATA: tuple[str, ...] = (
    "book_hotel hotel_name nights send_email to subject body",
    "Books Savoy Ritz for nights",
    "rita ann root service",
)
DATA += (
    "book the",
    "Sends an e-mail to bob",
    "bob",
    "hello",
    "email bob",
    "saying",
    "One e-mail address",
    "[demo model] I would like to use",
)


@pytest.fixture
def chinese(browser: Any, live_server: Any, db: Any) -> Iterator[Desk]:
    """An administrator whose browser speaks Chinese and stands in China."""
    User.objects.create_superuser("root", password="root's own")
    context = browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai")
    made = Desk(context.new_page(), live_server.url)
    made.log_in("root", "root's own")
    yield made
    assert made.errors == []
    context.close()


def seen(desk: Desk, *names: str) -> list[str]:
    return english(desk.page.content(), *DATA, *names)


def test_15_the_queue_with_a_selection_its_help_and_a_new_request(chinese: Desk, booking: Interrupt) -> None:
    chinese.queue()
    chinese.press("j", "x", "?")
    assert chinese.page.inner_text("#selected-count") == "已选 1 项"
    fields = {name: value for name, value in Interrupt.objects.values().get().items() if name not in ("id", "round")}
    Interrupt.objects.create(**fields, round=9)
    chinese.page.locator("#news", has_text="有新的审核。").wait_for(state="attached")
    assert seen(chinese) == []


def test_15_a_review_with_changes_and_what_was_typed_before(chinese: Desk, booking: Interrupt) -> None:
    chinese.open(booking)
    chinese.page.fill("#id-arg-0", "Savoy")
    assert chinese.page.inner_text("#approve [data-label]") == "批准（含 1 处修改）"
    chinese.page.fill("#id-arg-1", "3")
    chinese.page.reload()
    chinese.rest()
    assert chinese.page.inner_text(".note") == "已恢复您之前输入的内容。"
    assert chinese.page.inner_text("#approve [data-label]") == "批准（含 2 处修改）"
    assert seen(chinese) == []


def test_15_the_question_before_a_high_risk(chinese: Desk, invoke: Any, work: Any) -> None:
    invoke("email bob@example.com saying hello", session="mail")
    work()
    chinese.open(Interrupt.objects.get())
    chinese.press("a")
    assert chinese.page.inner_text("#once-more-title") == "高风险：确定执行？"
    assert seen(chinese) == []


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("auth/user/{root}/change/", ".selector-chosen"),
        ("auth/group/add/", ".selector-chosen"),
        ("reviews/policyrule/add/", ".datetimeshortcuts"),
        ("core/apikey/add/", ".timezonewarning"),
    ],
)
def test_15_the_widgets_of_a_form(chinese: Desk, path: str, made: str) -> None:
    chinese.page.goto(f"{chinese.url}/admin/{path.format(root=User.objects.get().pk)}")
    chinese.page.wait_for_selector(made)
    assert seen(chinese, *OPERATORS, "amount md") == []


def test_15_the_menu_changes_the_language_and_back(chinese: Desk, booking: Interrupt) -> None:
    chinese.queue()
    chinese.page.click(".language-menu summary")
    chinese.page.click(".language-menu button[value=en]")
    chinese.page.wait_for_selector("html[lang=en]")
    chinese.page.wait_for_load_state()
    assert len(seen(chinese)) > 20
    chinese.page.click(".language-menu summary")
    chinese.page.click(".language-menu button[value=zh-hans]")
    chinese.page.wait_for_selector("html[lang=zh-hans]")
    assert chinese.page.url == f"{chinese.url}/admin/reviews/review/"
