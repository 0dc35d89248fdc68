"""What a reviewer has typed survives a send that failed, also by way of the queue, and goes once it was taken."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session as Login

from agents.models import Interrupt
from reviews.decisions.services import Choice, decide
from tests.support.accounts import grant
from tests.support.processes import until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

REASON = "too dear, and the wrong town"
SAVED = "Object.entries(sessionStorage).filter(([key]) => key.startsWith('agentsite-draft:')).length"


def forgotten(desk: Any) -> None:
    """Wait until no draft is kept: a script removes it, some time after the page has appeared."""
    until(lambda: desk.page.evaluate(SAVED) == 0, seconds=30)


@pytest.fixture
def two(invoke: Any, work: Any) -> list[Interrupt]:
    """Two bookings that wait."""
    for name in ("Ritz", "Savoy"):
        invoke(f"book the {name} for 2 nights", session=name)
    work()
    return list(Interrupt.objects.order_by("expires_at", "created_at"))


def type_reason(desk: Any, review: Interrupt) -> None:
    desk.open(review)
    desk.press("r")
    desk.page.keyboard.type(REASON)


def send(desk: Any) -> None:
    desk.press("Control+Enter")
    desk.page.wait_for_timeout(700)


def by_way_of_the_queue(desk: Any, review: Interrupt) -> None:
    """As a reviewer gets back who has lost the page."""
    desk.queue()
    desk.page.locator(f"#result_list a[href*='{review.pk}']").first.click()
    desk.page.wait_for_url(f"**/{review.pk}/change/")
    desk.rest()


def fail_offline(desk: Any) -> None:
    desk.page.context.set_offline(True)
    send(desk)
    desk.page.context.set_offline(False)


def fail_with(status: int) -> Any:
    def fail(desk: Any) -> None:
        answer = {"status": status, "content_type": "text/html", "body": "<h1>An error</h1>"}
        desk.page.route("**/change/", lambda route: route.fulfill(**answer) if _posts(route) else route.continue_())
        send(desk)
        desk.page.unroute("**/change/")

    return fail


def _posts(route: Any) -> bool:
    return bool(route.request.method == "POST")


def fail_on_a_cut_line(desk: Any) -> None:
    desk.page.route("**/change/", lambda route: route.abort("connectionreset") if _posts(route) else route.continue_())
    send(desk)
    desk.page.unroute("**/change/")


def fail_on_an_old_page(desk: Any) -> None:
    desk.page.context.clear_cookies(name="csrftoken")
    send(desk)


def fail_without_a_session(desk: Any) -> None:
    Login.objects.all().delete()
    send(desk)
    desk.log_in("rita", "their own")
    desk.page.wait_for_load_state()


WAYS = {
    "offline": fail_offline,
    "503": fail_with(503),
    "500": fail_with(500),
    "413": fail_with(413),
    "reset": fail_on_a_cut_line,
    "403": fail_on_an_old_page,
    "logged out": fail_without_a_session,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_reason_survives_a_send_that_failed(desk: Any, two: list[Interrupt], way: str) -> None:
    type_reason(desk, two[0])
    WAYS[way](desk)
    assert set(Interrupt.objects.values_list("status", flat=True)) == {"pending"}
    by_way_of_the_queue(desk, two[0])
    assert desk.page.input_value("#id_message") == REASON
    assert desk.page.is_visible("#id_message")
    desk.press("Control+Enter")  # goes on where it was typed, and is no approval
    desk.done()
    two[0].refresh_from_db()
    assert (two[0].status, two[0].answer_message) == ("rejected", REASON)
    forgotten(desk)


def test_edited_arguments_survive_too(desk: Any, two: list[Interrupt]) -> None:
    desk.open(two[0])
    desk.page.locator("[data-original]").first.fill("Carlton")
    fail_offline(desk)
    by_way_of_the_queue(desk, two[0])
    assert desk.page.locator("[data-original]").first.input_value() == "Carlton"
    assert "1 change" in desk.page.inner_text("#approve")


def test_looking_at_another_review_takes_nothing_away(desk: Any, two: list[Interrupt]) -> None:
    type_reason(desk, two[0])
    desk.open(two[1])
    assert desk.page.input_value("#id_message") == ""
    by_way_of_the_queue(desk, two[0])
    assert desk.page.input_value("#id_message") == REASON


def test_a_loser_finds_their_text_when_they_come_back(desk: Any, two: list[Interrupt]) -> None:
    type_reason(desk, two[0])
    other = grant(User.objects.create_user("omar", is_staff=True), "reviews.decide_review")
    decide(two[0].pk, other, Choice("accept"))
    send(desk)
    assert REASON in desk.page.inner_text(".review")
    desk.queue()
    desk.open(two[0])
    assert REASON in desk.page.inner_text(".kept")


def test_of_what_i_have_decided_myself_nothing_is_kept(desk: Any, two: list[Interrupt], reviewer: User) -> None:
    type_reason(desk, two[0])
    decide(two[0].pk, reviewer, Choice("reject", message="by another way"))
    desk.open(two[0])
    assert desk.page.locator(".kept").count() == 0
    forgotten(desk)


def test_a_reason_outlives_a_change_of_what_is_asked(desk: Any, two: list[Interrupt]) -> None:
    type_reason(desk, two[0])
    Interrupt.objects.filter(pk=two[0].pk).update(version=2)
    by_way_of_the_queue(desk, two[0])
    assert desk.page.input_value("#id_message") == REASON


def test_the_reason_for_several_survives_as_well(desk: Any, two: list[Interrupt]) -> None:
    def choose() -> None:
        desk.queue()
        desk.page.check("#action-toggle")
        desk.page.get_by_role("button", name="Reject selected").click()
        desk.page.wait_for_selector(".bulk-list")
        desk.rest()

    choose()
    desk.page.fill("#id_message", REASON)
    desk.page.context.set_offline(True)
    send(desk)
    desk.page.context.set_offline(False)
    choose()
    assert desk.page.input_value("#id_message") == REASON
    desk.press("Control+Enter")
    desk.done()
    assert set(Interrupt.objects.values_list("answer_message", flat=True)) == {REASON}
    forgotten(desk)
