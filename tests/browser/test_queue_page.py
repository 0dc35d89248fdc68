"""The queue in a browser. The numbers are those of the desk's acceptance checks."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session as Login

from agents.models import Interrupt
from reviews.decisions import claims
from reviews.models import Decision
from tests.support.accounts import grant

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CURSOR = "#result_list tr.cursor"


@pytest.fixture
def waiting(invoke: Any, work: Any) -> list[Interrupt]:
    for number in range(4):
        invoke(f"book the Hotel{number} for 2 nights", session=f"s{number}")
    work()
    return list(Interrupt.objects.order_by("expires_at", "created_at"))


def cursor(desk: Any) -> str:
    return str(desk.page.inner_text(f"{CURSOR} .field-arguments"))


def test_j_and_k_move_and_enter_opens(desk: Any, waiting: list[Interrupt]) -> None:
    desk.queue()
    desk.press("j", "j", "j", "k")
    assert "Hotel1" in cursor(desk)
    desk.press("Enter")
    desk.page.wait_for_url(f"**/{waiting[1].pk}/change/")


@pytest.mark.parametrize("key", ["n", "o"])
def test_n_starts_with_the_first_and_o_opens(desk: Any, waiting: list[Interrupt], key: str) -> None:
    desk.queue()
    if key == "o":
        desk.press("j")
    desk.press(key)
    desk.page.wait_for_url(f"**/{waiting[0].pk}/change/")


def test_slash_searches_and_the_question_mark_helps(desk: Any, waiting: list[Interrupt]) -> None:
    desk.queue()
    desk.press("?")
    assert "down, up" in desk.page.inner_text("#help")
    desk.press("Escape", "/")
    desk.page.keyboard.type("Hotel2")
    desk.press("Enter")
    desk.page.wait_for_url("**q=Hotel2**")
    assert desk.page.locator("#result_list tbody tr").count() == 1


def test_x_selects_and_several_are_approved_by_keys(desk: Any, waiting: list[Interrupt]) -> None:
    desk.queue()
    desk.press("j", "x", "j", "x")
    assert desk.page.inner_text("#selected-count") == "2 selected"
    desk.page.get_by_role("button", name="Approve selected").press("Enter")
    desk.page.wait_for_selector(".bulk-list")
    desk.rest()
    desk.press("Control+Enter")
    desk.done()
    assert "2 decided, 0 skipped" in desk.page.inner_text(".messagelist")
    assert Decision.objects.count() == 2


def test_nothing_is_sent_without_a_selection(desk: Any, waiting: list[Interrupt]) -> None:
    desk.queue()
    assert desk.page.get_by_role("button", name="Approve selected").is_disabled()
    desk.page.check("#action-toggle")
    assert desk.page.inner_text("#selected-count") == "4 selected"
    desk.page.uncheck("#action-toggle")
    assert desk.page.get_by_role("button", name="Approve selected").is_disabled()


def test_11_all_across_pages_can_be_selected(desk: Any, waiting: list[Interrupt], monkeypatch: Any) -> None:
    monkeypatch.setattr("reviews.console.reviews.ReviewAdmin.list_per_page", 2)
    desk.queue()
    desk.page.check("#action-toggle")
    desk.button("Select all 4 reviews in this list").click()
    desk.page.get_by_role("button", name="Approve selected").click()
    desk.page.wait_for_selector(".bulk-list")
    assert desk.page.locator(".bulk-list > li").count() == 4


def test_12_a_new_request_shows_within_5_seconds(desk: Any, waiting: list[Interrupt], invoke: Any, work: Any) -> None:
    desk.queue()
    desk.press("j", "j", "x")
    invoke("book the Newcomer for 2 nights", session="new")
    work()
    Interrupt.objects.filter(args_text__contains="Newcomer").update(expires_at="2026-01-01T00:00:00Z")
    desk.page.wait_for_selector("text=Newcomer", timeout=5000)
    assert "Hotel1" in cursor(desk)
    assert desk.page.inner_text("#selected-count") == "1 selected"
    assert desk.page.is_checked(f"{CURSOR} input")
    assert desk.page.title().startswith("(5) ")
    assert desk.page.inner_text("[data-pending]") == "5"
    assert "Newcomer" in desk.page.inner_text("#result_list tbody tr >> nth=0")


def test_the_first_request_of_an_empty_queue_shows_too(desk: Any, invoke: Any, work: Any) -> None:
    desk.queue()
    assert "There are no reviews here" in desk.page.inner_text("#rows")
    invoke("book the Newcomer for 2 nights")
    work()
    desk.page.wait_for_selector("text=Newcomer", timeout=5000)
    desk.press("j")
    assert "Newcomer" in cursor(desk)


def test_a_row_that_is_decided_elsewhere_goes_and_the_cursor_stays_near(desk: Any, waiting: list[Interrupt]) -> None:
    desk.queue()
    desk.press("j", "j")
    Interrupt.objects.filter(pk=waiting[1].pk).update(status="approved")
    desk.page.wait_for_selector("text=Hotel1", state="detached", timeout=5000)
    assert "Hotel2" in cursor(desk)


def fails(desk: Any, how: Any) -> None:
    """From now on the list gets no new rows."""
    desk.page.route("**/rows/*", how)


OUTAGES: dict[str, Any] = {
    "errors": lambda route: route.fulfill(status=503),
    "no answer": lambda route: route.abort("connectionrefused"),
    "nonsense": lambda route: route.fulfill(status=200, body="<html>a proxy's own page</html>"),
}


def try_in_vain(desk: Any, times: int) -> None:
    """Let the list ask for new rows so often."""
    for _ in range(times):
        with desk.page.expect_request("**/rows/*"):
            desk.later(6_000)  # it waits no longer between two of them
        desk.page.wait_for_timeout(100)  # until it has begun to wait again


@pytest.mark.parametrize(
    "outage", ["errors", *(pytest.param(name, marks=pytest.mark.long) for name in ("no answer", "nonsense"))]
)
def test_a_list_says_that_it_is_old_and_goes_on_after_the_outage(
    desk: Any, waiting: list[Interrupt], invoke: Any, work: Any, outage: str
) -> None:
    fails(desk, OUTAGES[outage])
    desk.queue()
    try_in_vain(desk, 3)
    desk.page.wait_for_selector("#news.note")
    assert "may be out of date" in desk.page.inner_text("#news")
    try_in_vain(desk, 3)  # more often than it used to go on trying
    invoke("book the Newcomer for 2 nights", session="new")
    work()
    desk.page.unroute("**/rows/*")
    desk.page.wait_for_selector("text=Newcomer", timeout=10_000)
    assert desk.page.locator("#news.note").count() == 0


def test_a_list_whose_reader_was_logged_out_leads_to_the_login_and_goes_on(
    desk: Any, waiting: list[Interrupt], invoke: Any, work: Any
) -> None:
    desk.queue("?risk=medium")
    Login.objects.all().delete()
    desk.page.click("#news.note a", timeout=10_000)
    desk.page.fill("#id_username", "rita")
    desk.page.fill("#id_password", "their own")
    desk.page.click("input[type=submit]")
    desk.page.wait_for_url("**/admin/reviews/review/?risk=medium")


def test_22_start_and_next_keep_the_filter_and_leave_out_what_others_have_claimed(
    desk: Any, waiting: list[Interrupt], invoke: Any, work: Any
) -> None:
    other = grant(User.objects.create_user("omar", is_staff=True), "reviews.decide_review")
    invoke("email bob@example.com saying hello", session="mail")
    work()
    Interrupt.objects.filter(tool="send_email").update(expires_at="2026-01-01T00:00:00Z")
    claims.claim(waiting[0].pk, other)
    desk.queue("?tool=book_hotel")
    desk.press("n")
    desk.page.wait_for_url(f"**/{waiting[1].pk}/change/?*")
    claims.claim(waiting[2].pk, other)
    desk.rest()
    desk.press("a")
    desk.page.wait_for_url(f"**/{waiting[3].pk}/change/?*")
    desk.rest()
    desk.press("n")
    desk.page.wait_for_url("**/admin/reviews/review/?tool=book_hotel")
    assert "claimed by others" in desk.page.inner_text(".messagelist")
    assert desk.page.locator("#result_list tbody tr").count() == 3


def deal_with(desk: Any, review: Interrupt, number: int) -> str:
    """Decide the review that is open, by at most two keys beside what is typed. What is to become of it."""
    if review.risk == "high":
        desk.press("a", "Enter")
        return "approved"
    key, text, becomes = {3: ("r", "no", "rejected"), 6: ("e", "Savoy", "edited")}.get(
        number % 10, ("a", "", "approved")
    )
    desk.press(key)
    if text:
        desk.page.keyboard.type(text)
        desk.press("Control+Enter")
    return becomes


@pytest.mark.long
def test_16_sixty_reviews_are_cleared_by_keys_alone(desk: Any, invoke: Any, work: Any) -> None:
    for number in range(54):
        invoke(f"book the Hotel{number} for 2 nights", session=f"s{number}")
    for number in range(6):
        invoke(f"email bob@example.com saying hello {number}", session=f"m{number}")
    work()
    expected = {}
    desk.queue()
    desk.press("n")
    for number, review in enumerate(Interrupt.objects.order_by("expires_at", "created_at")):
        desk.page.wait_for_url(f"**/{review.pk}/change/")
        desk.rest()
        expected[review.pk] = deal_with(desk, review, number)
    desk.page.wait_for_url("**/admin/reviews/review/")
    assert dict(Interrupt.objects.values_list("pk", "status")) == expected
