"""The preview tells what will run: it is computed from the edited arguments, or is not shown."""

import threading
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from langchain_core.tools import tool

from agents.models import Interrupt
from agents.policy import Declaration, declare
from reviews.console import previews
from reviews.decisions.services import Choice, decide
from tests.support.accounts import grant
from tests.support.helpers import open_review

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "/admin/reviews/review/"
RELEASED = threading.Event()


def moody(args: dict[str, Any]) -> Any:
    """A preview that does what a preview may do."""
    if args["how"] == "raises":
        raise RuntimeError("no such order")
    if args["how"] == "exits":
        raise SystemExit(3)
    if args["how"] == "hangs":
        RELEASED.wait(20)
    if args["how"] == "changes":
        args["how"] = "changed"
    return {"number": 5}.get(args["how"], f"Does it {args['how']}.")


@declare(Declaration(preview=moody))
@tool
def perform(how: str, note: str = "") -> str:
    """Perform something."""
    return how


@tool
def mute(how: str) -> str:
    """Has no preview."""
    return how


@pytest.fixture
def asked(settings: Any, invoke: Any, work: Any) -> Any:
    """A call of a tool of this file that waits for its review."""
    RELEASED.clear()
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.reviews.test_previews"]}}

    def ask(name: str = "perform") -> Interrupt:
        task = invoke(f'call {name} with {{"how": "well"}}')
        work()
        return open_review(task)

    yield ask
    RELEASED.set()


def page_of(review: Interrupt) -> str:
    return f"{QUEUE}{review.pk}/change/"


def previews_on(response: Any) -> list[str]:
    """The texts of the previews that are not hidden."""
    parts = response.content.decode().split('<p class="preview')[1:]
    shown = [part.split("</p>")[0] for part in parts if " hidden" not in part.split(">")[0]]
    return [part.split(">", 1)[1] for part in shown]


def typed(desk: Client, review: Interrupt, response_type: str = "preview", **more: str) -> Any:
    body = {"response_type": response_type, "version": review.version, "digest": review.args_digest, **more}
    return desk.post(page_of(review), body)


def test_the_preview_is_computed_from_what_is_typed(desk: Client, booking: Interrupt) -> None:
    assert previews_on(desk.get(page_of(booking))) == ["Books Ritz for 2 nights."]
    [shown] = previews_on(typed(desk, booking, **{"arg-0": "Savoy"}))
    assert "Books Savoy for 2 nights." in shown


def test_without_a_script_the_question_before_a_high_risk_tells_the_edited_call(
    desk: Client, invoke: Any, work: Any
) -> None:
    task = invoke("email bob@example.com saying hello", session="mail")
    work()
    content = typed(desk, open_review(task), "accept", **{"arg-0": "eve@example.com"}).content.decode()
    question = content.split('class="once-more"')[1].split("</div>\n  <")[0]
    assert "eve@example.com" in question.split("<p class=")[1]
    for part in content.split('<p class="preview')[1:]:
        assert "bob@example.com" not in part.split("</p>")[0] or " hidden" in part.split(">")[0]


@pytest.mark.parametrize("text", ["raises", "exits", "hangs"])
def test_where_it_can_not_be_computed_it_is_not_shown(desk: Client, asked: Any, settings: Any, text: str) -> None:
    review = asked()
    settings.PREVIEW_SECONDS = 5 if text == "raises" else 0.5
    previews.of_edit(review, {"how": "first"})
    begun = time.monotonic()
    [shown] = previews_on(typed(desk, review, **{"arg-0": text}))
    assert "There is no preview" in shown
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"how": "better"}, "Does it better."),
        ({"how": "number"}, "5"),
        ({"how": "changes"}, "Does it changed."),
        ({"how": "well"}, "Does it well."),
        ({"how": 5}, ""),
        ({}, ""),
        ("how", ""),
    ],
)
def test_it_is_a_text_of_arguments_that_fit(asked: Any, args: Any, expected: str) -> None:
    assert previews.of_edit(asked(), args) == expected


def test_a_tool_without_a_preview_gives_its_description(asked: Any) -> None:
    assert previews.of_edit(asked("mute"), {"how": "better"}) == "Has no preview."


def test_a_tool_that_is_gone_gives_none(asked: Any) -> None:
    review = asked()
    Interrupt.objects.update(tool="gone")
    review.refresh_from_db()
    assert previews.of_edit(review, {"how": "better"}) == ""


def test_it_can_be_switched_off(asked: Any, settings: Any) -> None:
    settings.PREVIEW_SECONDS = 0
    assert previews.of_edit(asked(), {"how": "better"}) == ""


def test_tools_that_hang_take_no_more_than_their_places(asked: Any, settings: Any) -> None:
    settings.PREVIEW_SECONDS = 0.2
    review = asked()
    before = threading.active_count()
    for _round in range(previews.AT_ONCE + 3):
        assert previews.of_edit(review, {"how": "hangs"}) is None
    assert threading.active_count() <= before + previews.AT_ONCE
    RELEASED.set()
    settings.PREVIEW_SECONDS = 10
    assert previews.of_edit(review, {"how": "again"}) == "Does it again."


def test_after_an_edit_the_preview_of_what_was_asked_is_gone(desk: Client, booking: Interrupt, reviewer: User) -> None:
    decide(booking.pk, reviewer, Choice("edit", {"hotel_name": "Savoy", "nights": 2}))
    assert previews_on(desk.get(page_of(booking))) == []


def ask_for(client: Client, review: Interrupt, **typed: str) -> Any:
    return client.post(f"{QUEUE}{review.pk}/preview/", typed)


def test_the_page_asks_for_it_while_somebody_types(desk: Client, booking: Interrupt) -> None:
    assert ask_for(desk, booking, **{"arg-1": "5"}).json() == {"preview": "Books Ritz for 5 nights.", "is_late": False}
    assert ask_for(desk, booking, **{"arg-1": "five"}).json()["preview"] == ""
    assert ask_for(desk, booking, **{"arg-1": "500"}).json()["preview"] == ""
    assert Interrupt.objects.get().status == "pending"


def test_who_may_not_edit_gets_no_preview(booking: Interrupt, desk: Client) -> None:
    viewer = grant(User.objects.create_user("vic", is_staff=True), "reviews.view_review")
    client = Client()
    client.force_login(viewer)
    assert ask_for(client, booking, **{"arg-1": "5"}).status_code == 403
    assert desk.get(f"{QUEUE}{booking.pk}/preview/").status_code == 403
    Interrupt.objects.update(kind="in_doubt")
    assert ask_for(desk, booking, **{"arg-1": "5"}).status_code == 403
