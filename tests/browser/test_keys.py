"""What a key does on a review, and what it never does: change a value, or run a call a second time by habit."""

import json
import string
from typing import Any

import pytest

from agents.models import Interrupt
from reviews.models import Decision
from tests.support.desk_tools import ASKED
from tests.support.helpers import open_review
from tests.support.oracle import calls

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

VALUES = """() => [...document.querySelectorAll("#content-main input, #content-main textarea, #content-main select")]
  .map((one) => [one.name, one.type === "checkbox" ? one.checked : one.value])"""
RESET = "document.querySelector('dialog[open]')?.close(); document.activeElement.blur(); scrollTo(0, 0)"
LEAVE = "nu"  # they lead to another page
NAMED = ["Enter", "Space", "Backspace", "Delete", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"]
NAMED += ["PageUp", "PageDown", "Tab", "Insert", "F2", "Control+Enter", "Control+e", "Shift+E", "Alt+a"]


@pytest.fixture
def ordered(settings: Any, oracle: None, invoke: Any, work: Any) -> Interrupt:
    """An order with arguments of every kind, of high risk: `a` asks once more and decides nothing."""
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.desk_tools"]}}
    task = invoke(f"call order with {json.dumps(ASKED)}")
    work()
    Interrupt.objects.update(risk="high")
    return open_review(task)


@pytest.fixture
def doubt(oracle: None, invoke: Any, work: Any, reviewer: Any) -> Interrupt:
    """A charge of which nobody knows whether it happened."""
    task = invoke('call charge_and_time_out with {"amount": 3}')
    work()
    open_review(task)
    Interrupt.objects.update(status="approved", answered_at="2100-01-01T00:00:00Z")
    Interrupt.objects.update(kind="in_doubt", status="pending", answered_at=None)
    return Interrupt.objects.get()


@pytest.mark.parametrize("script", [True, False])
def test_16_no_key_changes_a_value(desk: Any, ordered: Interrupt, script: bool) -> None:
    if not script:
        desk.page.route("**/review.js", lambda route: route.abort())
    desk.open(ordered)
    before = desk.page.evaluate(VALUES)
    assert len(before) > 15
    keys = [key for key in string.printable[:94] if key not in LEAVE] + NAMED
    for key in keys:
        desk.press(key)
        assert desk.page.evaluate(VALUES) == before, key
        desk.page.evaluate(RESET)
    assert Decision.objects.count() == 0


def test_16_e_leads_to_the_first_argument_and_what_is_typed_then_is_typed(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    desk.press("e")
    assert desk.page.evaluate("document.activeElement.id") == "id-arg-0"
    assert desk.page.input_value("#id-arg-0") == "Ritz"
    desk.press("End", "e", "r")
    assert desk.page.input_value("#id-arg-0") == "Ritzer"
    desk.press("Enter")
    assert desk.page.input_value("#id-arg-0") == "Ritzer"


@pytest.mark.parametrize("name", ["W" * 60, "漢" * 40])
def test_16_enter_ends_no_line_in_a_value_of_one_line(desk: Any, booking: Interrupt, name: str) -> None:
    Interrupt.objects.update(args_text=json.dumps({"hotel_name": name, "nights": 2}))
    desk.open(booking)
    desk.press("e", "Control+End", "Enter")
    assert desk.page.input_value("#id-arg-0") == name
    assert desk.page.evaluate("document.activeElement.tagName") == "TEXTAREA"


def test_16_a_value_of_a_wrong_format_is_told_at_its_field(desk: Any, booking: Interrupt) -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}
    Interrupt.objects.update(args_text='{"day":"2026-01-31"}', args_schema=schema)
    desk.open(booking)
    desk.page.fill("#id-arg-0", "2026-02-30")
    desk.press("Escape", "a")
    assert desk.page.inner_text("#error-arg-0") == "Enter a date such as 2026-01-31."
    assert desk.page.input_value("#id-arg-0") == "2026-02-30"
    assert Decision.objects.count() == 0


def test_15_the_keys_of_a_call_do_nothing_to_one_in_doubt(desk: Any, doubt: Interrupt) -> None:
    desk.open(doubt)
    for key in ("a", "r", "s", "e", "Enter", "Control+Enter", "Control+Enter", "y"):
        desk.press(key)
    assert not desk.page.is_visible("#once-more")
    assert desk.page.query_selector("details.panel[open]") is None
    desk.page.wait_for_load_state("networkidle")
    assert Decision.objects.count() == 0


def test_15_running_it_again_has_its_key_and_asks_once_more(desk: Any, doubt: Interrupt) -> None:
    desk.open(doubt)
    desk.press("g")
    assert "makes it happen twice" in desk.page.inner_text("#once-more")
    assert "amount" in desk.page.inner_text("#once-more")
    desk.press("g", "a")
    desk.button("Back").click()
    assert not desk.page.is_visible("#once-more")
    assert Decision.objects.count() == 0
    desk.press("g", "Enter")
    desk.done()
    assert Decision.objects.get().response_type == "accept"
    assert len(calls()) <= 1


@pytest.mark.parametrize(("key", "name", "status"), [("d", "answer", "responded"), ("t", "message", "rejected")])
def test_15_done_and_no_retry_have_keys_of_their_own(
    desk: Any, doubt: Interrupt, key: str, name: str, status: str
) -> None:
    desk.open(doubt)
    desk.press(key)
    assert desk.page.evaluate("document.activeElement.id") == f"id_{name}"
    assert desk.page.input_value(f"#id_{name}") == ""
    desk.page.keyboard.type("It stands in the books")
    desk.press("Control+Enter")
    desk.done()
    assert Interrupt.objects.get().status == status


@pytest.fixture
def mail(invoke: Any, work: Any) -> Interrupt:
    task = invoke("email bob@example.com saying hello", session="mail")
    work()
    return open_review(task)


def previews(desk: Any, where: str) -> str:
    """The previews that are on the screen."""
    shown = desk.page.locator(f"{where} .preview:visible").all_inner_texts()
    return " ".join(shown)


def test_14_headline_and_dialog_tell_the_edited_call(desk: Any, mail: Interrupt) -> None:
    desk.open(mail)
    assert "bob@example.com" in previews(desk, ".call")
    desk.page.fill("#id-arg-0", "eve@example.com")
    assert "bob@example.com" not in previews(desk, ".call")  # at once, before the server has answered
    desk.press("Escape", "a")
    assert "bob@example.com" not in previews(desk, "#once-more")
    desk.page.wait_for_selector("#once-more [data-preview=edited]:visible", timeout=30_000)
    assert "Sends an e-mail to eve@example.com" in previews(desk, "#once-more")
    dialog = desk.page.inner_text("#once-more")
    assert "bob@example.com" in dialog.split("With your changes")[1]  # as what was changed
    desk.button("Back").click()
    assert "Sends an e-mail to eve@example.com" in previews(desk, ".call")
    desk.page.fill("#id-arg-0", "bob@example.com")
    assert previews(desk, ".call").startswith("Sends an e-mail to bob@example.com")
    assert "With your changes" not in previews(desk, ".call")


def test_14_where_there_is_no_preview_the_dialog_tells_tool_and_changes(desk: Any, mail: Interrupt) -> None:
    desk.page.route("**/preview/", lambda route: route.abort())
    desk.open(mail)
    desk.page.fill("#id-arg-0", "eve@example.com")
    desk.page.wait_for_selector(".call [data-preview=none]:visible")
    desk.press("Escape", "a")
    dialog = desk.page.inner_text("#once-more")
    for shown in ("send_email", "There is no preview", "bob@example.com", "eve@example.com"):
        assert shown in dialog


def test_14_a_late_answer_is_not_shown_beside_other_arguments(desk: Any, mail: Interrupt) -> None:
    answers = []
    desk.page.route("**/preview/", lambda route: answers.append(route))
    desk.open(mail)
    desk.page.fill("#id-arg-0", "eve@example.com")
    desk.page.wait_for_timeout(600)
    desk.page.fill("#id-arg-0", "adam@example.com")
    body = json.dumps({"preview": "Sends an e-mail to eve@example.com", "is_late": False})
    answers[0].fulfill(status=200, content_type="application/json", body=body)
    desk.page.wait_for_timeout(200)
    assert previews(desk, ".call") == "Updating the preview…"


def test_14_an_unedited_high_risk_shows_its_arguments_in_the_dialog(desk: Any, mail: Interrupt) -> None:
    desk.open(mail)
    desk.press("a")
    dialog = desk.page.inner_text("#once-more")
    for shown in ("send_email", "Sends an e-mail to bob@example.com", "subject", "hello"):
        assert shown in dialog
