"""A person decides reviews in a browser. The numbers are those of the desk's acceptance checks."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Interrupt, ToolCall
from reviews.decisions.services import Choice, decide
from reviews.models import Decision
from tests.support.desk_tools import ASKED
from tests.support.helpers import answer_of, open_review
from tests.support.oracle import calls
from tests.support.processes import until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def ordered(settings: Any, oracle: None, invoke: Any, work: Any) -> Interrupt:
    """An order with arguments of every kind."""
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.desk_tools"]}}
    task = invoke(f"call order with {json.dumps(ASKED)}")
    work()
    return open_review(task)


@pytest.fixture
def mail(invoke: Any, work: Any) -> Interrupt:
    task = invoke("email bob@example.com saying hello", session="mail")
    work()
    return open_review(task)


def decided(review: Interrupt) -> str:
    review.refresh_from_db()
    return str(review.status)


def ran() -> Any:
    return json.loads(calls()[0])


def test_from_the_queue_to_an_approved_call(desk: Any, booking: Interrupt, work: Any) -> None:
    desk.page.goto(f"{desk.url}/admin/")
    desk.page.get_by_role("link", name="Reviews", exact=True).last.click()
    desk.page.get_by_role("link", name="book_hotel").first.click()
    desk.rest()
    desk.button("Approve").click()
    desk.done()
    work()
    assert "Booked Ritz for 2 nights" in answer_of(booking.task)


@pytest.mark.parametrize("script", [True, False])
def test_1_an_untouched_approval_runs_exactly_what_was_asked(
    desk: Any, ordered: Interrupt, work: Any, script: bool
) -> None:
    if not script:
        desk.page.route("**/review.js", lambda route: route.abort())
    desk.open(ordered)
    desk.button("Approve").click()
    desk.done()
    work()
    assert decided(ordered) == "approved"
    assert json.dumps(ran(), sort_keys=True) == json.dumps(ASKED, sort_keys=True)


def test_2_an_edit_keeps_the_original_and_shows_the_exact_difference(desk: Any, ordered: Interrupt, work: Any) -> None:
    desk.open(ordered)
    desk.page.get_by_label("pieces").fill("4")
    desk.page.get_by_label("street").fill("Side St")
    desk.page.get_by_label("tags").fill("a b\nnew")
    live = desk.page.inner_text("#changes-list")
    desk.button("Approve with 3 changes").click()
    desk.done()
    work()
    desk.open(ordered)
    for shown in ("pieces", "address › street", "Main St", "Side St", "tags", "new"):
        assert shown in live
        assert shown in desk.page.inner_text(".decided")
    assert ordered.args == ASKED
    assert ran() == {**ASKED, "pieces": 4, "tags": ["a b", "new"], "address": {"street": "Side St", "floor": None}}


def test_2_an_edit_that_is_taken_back_is_none(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    desk.page.fill("#id-arg-0", "Savoy")
    desk.page.fill("#id-arg-0", "Ritz")
    assert not desk.page.is_visible("#changes")
    desk.button("Approve").click()
    desk.done()
    assert decided(booking) == "approved"


def test_3_a_schema_error_stands_at_its_field_and_the_input_is_kept(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    desk.page.fill("#id-arg-1", "99")
    desk.button("Approve with 1 change").click()
    assert desk.page.inner_text("#error-arg-1") == "At most 60."
    assert desk.page.input_value("#id-arg-1") == "99"
    assert decided(booking) == "pending"


@pytest.mark.parametrize(("key", "name", "status"), [("r", "message", "rejected"), ("s", "answer", "responded")])
def test_4_a_text_is_needed_and_wrong_arguments_do_not_matter(
    desk: Any, booking: Interrupt, key: str, name: str, status: str
) -> None:
    desk.open(booking)
    desk.page.fill("#id-arg-1", "99")
    desk.press("Escape", key, "Control+Enter")
    assert desk.page.inner_text(f".panel:has(#id_{name}) .arg-error")
    desk.rest()
    desk.page.fill(f"#id_{name}", "too dear")
    desk.press("Control+Enter")
    desk.done()
    assert decided(booking) == status
    assert booking.answer_message == "too dear"


def test_5_of_two_reviewers_one_wins_and_the_other_sees_who_what_and_when(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    decide(booking.pk, User.objects.create_superuser("vera"), Choice("accept"))
    desk.press("r")
    desk.page.keyboard.type("too dear for us")
    desk.press("Control+Enter")
    note = desk.page.inner_text(".errornote")
    assert "vera decided first: Approved, 20" in note
    assert "too dear for us" in desk.page.inner_text(".typed")
    assert desk.page.query_selector(".review button") is None


def test_5_of_two_browsers_that_send_at_once_one_wins(desk: Any, another: Any, booking: Interrupt, work: Any) -> None:
    for one in (desk, another):
        one.open(booking)
    another.press("s")
    another.page.keyboard.type("use the Savoy")
    # Both requests are on their way before either page waits for its answer.
    desk.press("a")
    another.press("Control+Enter")
    for one in (desk, another):
        one.page.wait_for_selector(".messagelist, .errornote")
    work()
    told = [one.page.query_selector(".errornote") is not None for one in (desk, another)]
    assert sorted(told) == [False, True]
    loser, winner = (desk, "vera") if told[0] else (another, "rita")
    assert f"{winner} decided first" in loser.page.inner_text(".errornote")
    assert (Decision.objects.count(), ToolCall.objects.count()) == (1, int(winner == "rita"))


@pytest.mark.parametrize("way", ["key", "click"])
def test_6_pressed_twice_decides_one(desk: Any, booking: Interrupt, invoke: Any, work: Any, way: str) -> None:
    invoke("book the Savoy for 1 night", session="s2")
    work()
    desk.open(booking)
    place = desk.button("Approve").bounding_box()
    if way == "key":
        desk.press("a", "a")
    else:
        desk.button("Approve").dblclick()
    desk.done()
    if way == "key":
        desk.press("a")
    else:
        desk.page.mouse.click(place["x"] + 20, place["y"] + 10)  # meant for the page before
    desk.page.wait_for_load_state("networkidle")
    assert Decision.objects.count() == 1


EVENTS = ["{repeat: true}", "{isComposing: true}", "{keyCode: 229}", "{ctrlKey: true}", "{altKey: true}"]


def test_6_a_held_a_composed_and_a_modified_key_are_dead(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    script = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', bubbles: true, ...%s}))"
    for event in EVENTS:
        desk.page.evaluate(script % event)
    desk.page.wait_for_timeout(500)
    assert Decision.objects.count() == 0
    desk.page.evaluate(script % "{}")
    desk.done()
    assert Decision.objects.count() == 1


def test_6_keys_are_letters_while_somebody_types(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    desk.page.click("#id-arg-0")
    desk.press("End", "a", "r", "n")
    assert desk.page.input_value("#id-arg-0") == "Ritzarn"
    desk.press("Enter")
    assert desk.page.url.endswith(f"{booking.pk}/change/")
    assert decided(booking) == "pending"


def test_a_high_risk_asks_once_more(desk: Any, mail: Interrupt, work: Any) -> None:
    desk.open(mail)
    desk.press("a")
    assert desk.page.is_visible("#once-more")
    assert decided(mail) == "pending"
    desk.press("a", "Enter")
    desk.done()
    assert decided(mail) == "approved"


def test_a_high_risk_can_be_left_alone(desk: Any, mail: Interrupt) -> None:
    desk.open(mail)
    desk.press("a")
    desk.button("Back").click()
    assert not desk.page.is_visible("#once-more")
    assert decided(mail) == "pending"


def test_without_a_script_a_high_risk_asks_once_more_too(desk: Any, mail: Interrupt) -> None:
    desk.page.route("**/review.js", lambda route: route.abort())
    desk.open(mail)
    desk.button("Approve").click()
    desk.page.click(".once-more button")
    desk.done()
    assert decided(mail) == "approved"


def test_what_was_typed_outlives_a_reload_until_it_is_sent(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    desk.page.fill("#id-arg-0", "Savoy")
    desk.press("Escape", "r")
    desk.page.keyboard.type("because")
    desk.page.reload()
    desk.rest()
    assert desk.page.input_value("#id-arg-0") == "Savoy"
    assert desk.page.input_value("#id_message") == "because"
    desk.button("Approve with 1 change").click()
    desk.done()
    drafts = "Object.keys(sessionStorage).filter(key => key.includes('draft'))"
    until(lambda: desk.page.evaluate(drafts) == [], seconds=30)  # a script forgets it, after the page has appeared
    assert decided(booking) == "edited"


def test_it_is_skipped_and_left_by_keys(desk: Any, booking: Interrupt, mail: Interrupt) -> None:
    desk.open(booking)
    desk.press("n")
    desk.page.wait_for_url(f"**/{mail.pk}/change/")
    desk.rest()
    desk.press("u")
    desk.page.wait_for_url("**/admin/reviews/review/")
    assert Decision.objects.count() == 0


def test_an_answer_in_place_of_the_tool(desk: Any, booking: Interrupt, work: Any) -> None:
    desk.open(booking)
    desk.press("s")
    desk.page.keyboard.type("It is full, use the Savoy")
    desk.button("Send").click()
    desk.done()
    work()
    assert "use the Savoy" in answer_of(booking.task)
    assert ToolCall.objects.count() == 0


EVIL = '{"hotel_name":"<img src=x onerror=document.title=1>\\u202eevil","nights":2,'
EVIL += '"<b>\\u202ek":"</script><script>document.title=1</script>"}'


def test_13_what_a_model_wrote_is_inert(desk: Any, booking: Interrupt) -> None:
    Interrupt.objects.update(args_text=EVIL, description="</script><script>document.title=1</script>")
    booking.task.query = "<img src=x onerror=document.title=1>\u202e"
    booking.task.save()
    desk.open(booking)
    desk.page.fill("#id-arg-1", "5")
    assert r"\u{202e}evil" in desk.page.input_value("#id-arg-0")
    assert "\u202e" not in desk.page.content()
    assert desk.page.query_selector(".review img, .review b") is None
    assert desk.page.title() != "1"
    desk.queue()
    assert "\u202e" not in desk.page.content()
    assert desk.errors == []


def test_13_a_page_reports_what_the_policy_blocks(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    desk.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')")
    desk.page.wait_for_timeout(200)
    assert desk.errors != []


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_over_the_edge(desk: Any, booking: Interrupt, width: int) -> None:
    Interrupt.objects.update(args_text='{"hotel_name":"' + "x" * 300 + '","nights":2}')
    desk.page.set_viewport_size({"width": width, "height": 800})
    for path in ("", "reviews/review/", f"reviews/review/{booking.pk}/change/"):
        desk.page.goto(f"{desk.url}/admin/{path}")
        assert desk.page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert desk.errors == []
