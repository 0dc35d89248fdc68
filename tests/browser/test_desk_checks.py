"""The desk's acceptance checks that need a browser, by their numbers."""

from pathlib import Path
from typing import Any

import pytest

from agents.models import Interrupt
from reviews.models import Decision

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
QUIET = 750  # ms until keys and buttons of a new page count
QUEUE = "/admin/reviews/review/"


def seeded(booking: Interrupt, count: int) -> None:
    """The booking and so many more like it, of the same task."""
    fields = {name: value for name, value in Interrupt.objects.values().get().items() if name not in ("id", "round")}
    Interrupt.objects.bulk_create(Interrupt(**fields, round=number) for number in range(1, count + 1))


def address_of(review: Interrupt) -> str:
    return f"{QUEUE}{review.pk}/change/"


def go(desk: Any, path: str) -> None:
    desk.page.goto(desk.url + path)
    desk.page.wait_for_timeout(QUIET)


def test_6_a_pressed_twice_decides_one_review(desk: Any, booking: Interrupt) -> None:
    seeded(booking, 3)
    go(desk, address_of(booking))
    desk.page.keyboard.press("a")
    desk.page.keyboard.press("a")
    desk.page.wait_for_selector(".messagelist")
    desk.page.keyboard.press("a")
    desk.page.wait_for_timeout(1500)
    assert Decision.objects.count() == 1


def test_6_a_click_that_was_meant_for_the_page_before_decides_nothing(desk: Any, booking: Interrupt) -> None:
    seeded(booking, 3)
    go(desk, address_of(booking))
    box = desk.page.locator("#approve").bounding_box()
    desk.page.mouse.click(box["x"] + 20, box["y"] + 10)
    desk.page.wait_for_selector(".messagelist")
    desk.page.mouse.click(box["x"] + 20, box["y"] + 10)
    desk.page.wait_for_timeout(1500)
    assert Decision.objects.count() == 1


@pytest.mark.parametrize(
    "event", ["{key: 'a', repeat: true}", "{key: 'a', isComposing: true}", "{key: 'a', ctrlKey: true}"]
)
def test_6_a_key_that_is_held_or_composes_decides_nothing(desk: Any, booking: Interrupt, event: str) -> None:
    go(desk, address_of(booking))
    desk.page.evaluate(f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{bubbles: true, ...{event}}}))")
    desk.page.wait_for_timeout(1000)
    assert not Decision.objects.exists()


def test_12_a_new_request_shows_within_5_seconds_and_keeps_selection_and_cursor(desk: Any, booking: Interrupt) -> None:
    seeded(booking, 2)
    go(desk, QUEUE)
    for key in "jjx":
        desk.page.keyboard.press(key)
    at = desk.page.locator("tr.cursor a").first.get_attribute("href")
    first = Interrupt.objects.values()[0].items()
    fields = {name: value for name, value in first if name not in ("id", "round")}
    Interrupt.objects.create(**{**fields, "expires_at": "2026-01-01T00:00:00Z", "round": 99})  # the first of the queue
    desk.page.locator("#result_list tbody tr").nth(3).wait_for(timeout=5000)
    assert desk.page.locator("tr.cursor a").first.get_attribute("href") == at
    assert desk.page.locator("tr.cursor input:checked").count() == 1
    assert desk.page.title().startswith("(4)")
    assert desk.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_14_nothing_serious_is_wrong_for_those_who_do_not_see_it(
    desk: Any, booking: Interrupt, width: int, scheme: Any
) -> None:
    seeded(booking, 2)
    desk.page.set_viewport_size({"width": width, "height": 800})
    desk.page.emulate_media(color_scheme=scheme)
    for path in ("/admin/", QUEUE, address_of(booking)):
        go(desk, path)
        assert serious(desk) == [], path
    desk.page.fill("#id-arg-0", "Savoy")
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("r")
    assert serious(desk) == [], "with changes and an open panel"
    go(desk, QUEUE)
    for key in "jxjx":
        desk.page.keyboard.press(key)
    assert serious(desk) == [], "with a selection"
    desk.page.get_by_role("button", name="Approve selected").click()
    desk.page.wait_for_selector("form.bulk")
    assert serious(desk) == [], "several at once"


def serious(desk: Any) -> list[str]:
    """What axe finds that is serious or worse. It runs beside the page's policy, not under it."""
    client = desk.page.context.new_cdp_session(desk.page)
    client.send("Runtime.evaluate", {"expression": AXE})
    found = desk.page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_16_a_queue_is_cleared_by_keys_alone(desk: Any, booking: Interrupt) -> None:
    seeded(booking, 11)
    go(desk, QUEUE)
    desk.page.keyboard.press("n")
    for number in range(12):
        desk.page.wait_for_url("**/change/")
        desk.page.wait_for_timeout(QUIET)
        if number % 3 == 2:
            desk.page.keyboard.press("r")
            desk.page.keyboard.type("too dear")
            with desk.page.expect_navigation():
                desk.page.keyboard.press("Control+Enter")
        else:
            with desk.page.expect_navigation():
                desk.page.keyboard.press("a")
    assert Interrupt.objects.filter(status="approved").count() == 8
    assert Interrupt.objects.filter(status="rejected", answer_message="too dear").count() == 4
    assert desk.errors == []
