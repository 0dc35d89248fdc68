"""A person decides reviews in a browser."""

from typing import Any

import pytest

from agents.models import Interrupt, ToolCall
from reviews.models import Decision
from tests.helpers import answer_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def decided(review: Interrupt) -> str:
    review.refresh_from_db()
    return str(review.status)


def test_from_the_queue_to_an_approved_call(desk: Any, booking: Interrupt, work: Any) -> None:
    desk.page.goto(f"{desk.url}/admin/")
    desk.page.get_by_role("link", name="Reviews", exact=True).last.click()
    desk.page.get_by_role("link", name="book_hotel").first.click()
    desk.button("Approve").click()
    desk.page.wait_for_selector(".messagelist")
    work()
    assert "Booked Ritz for 2 nights" in answer_of(booking.task)


def test_untouched_arguments_sent_as_an_edit_are_an_approval(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    desk.page.get_by_text("Approve with changes").first.click()
    desk.button("Approve with changes").click()
    desk.page.wait_for_selector(".messagelist")
    assert decided(booking) == "approved"


def test_changed_arguments(desk: Any, booking: Interrupt, work: Any) -> None:
    desk.open(booking)
    desk.page.get_by_text("Approve with changes").first.click()
    desk.page.fill("#id_args", '{"hotel_name": "Savoy", "nights": 1}')
    desk.button("Approve with changes").click()
    desk.page.wait_for_selector(".messagelist")
    work()
    assert "Booked Savoy for 1 night" in answer_of(booking.task)


def test_a_reject_without_a_reason_is_refused_at_its_field(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    desk.button("Reject").click()
    assert "Say why" in desk.page.text_content(".errorlist")
    desk.page.fill("#id_message", "too dear")
    desk.button("Reject").click()
    desk.page.wait_for_selector(".messagelist")
    assert decided(booking) == "rejected"


def test_an_answer_in_place_of_the_tool(desk: Any, booking: Interrupt, work: Any) -> None:
    desk.open(booking)
    desk.page.fill("#id_answer", "It is full, use the Savoy")
    desk.button("Answer instead").click()
    desk.page.wait_for_selector(".messagelist")
    work()
    assert "use the Savoy" in answer_of(booking.task)


def test_a_double_click_decides_once(desk: Any, booking: Interrupt, work: Any) -> None:
    desk.open(booking)
    desk.button("Approve").dblclick()
    desk.page.wait_for_load_state("networkidle")
    work()
    assert Decision.objects.count() == 1
    assert ToolCall.objects.filter(runs=1).count() == 1


def test_what_a_model_wrote_is_inert(desk: Any, booking: Interrupt) -> None:
    evil = '{"hotel_name":"<img src=x onerror=document.title=1>\\u202eevil","nights":2}'
    Interrupt.objects.update(args_text=evil, description="</script><script>document.title=1</script>")
    desk.open(booking)
    assert r"\u{202e}evil" in desk.page.text_content(".arguments")
    assert desk.page.query_selector(".review img") is None
    assert desk.page.title() != "1"
    assert desk.errors == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_runs_over_the_edge(desk: Any, booking: Interrupt, width: int, scheme: Any) -> None:
    desk.page.emulate_media(color_scheme=scheme)
    desk.page.set_viewport_size({"width": width, "height": 800})
    desk.open(booking)
    assert desk.page.evaluate("document.querySelector('.review').scrollWidth") <= width
    assert desk.errors == []
