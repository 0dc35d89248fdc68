"""Deciding several reviews at once."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from agents.models import Interrupt
from reviews.decisions import bulk
from reviews.decisions.services import Choice, decide
from reviews.models import Review
from tests.support.accounts import grant

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "/admin/reviews/review/"


@pytest.fixture
def bookings(invoke: Any, work: Any) -> list[Interrupt]:
    for number in range(3):
        invoke(f"book the Hotel{number} for 2 nights", session=f"s{number}")
    work()
    return list(Interrupt.objects.order_by("expires_at"))


@pytest.fixture
def mail(invoke: Any, work: Any) -> Interrupt:
    invoke("email bob@example.com saying hello", session="mail")
    work()
    return Interrupt.objects.get(tool="send_email")


def ask(desk: Client, action: str, reviews: list[Interrupt], **more: Any) -> Any:
    """Press the button of the queue."""
    chosen = [str(review.pk) for review in reviews]
    body = {"action": f"{action}_selected", "index": "0", "_selected_action": chosen, "select_across": "0", **more}
    return desk.post(QUEUE, body)


def send(desk: Client, kind: str, reviews: list[Interrupt], message: str = "") -> str:
    """Send the page that lists them. What is told then."""
    rows = [f"{review.pk}:{review.version}:{review.args_digest}" for review in reviews]
    response = desk.post(f"{QUEUE}bulk/", {"kind": kind, "row": rows, "message": message})
    assert response.status_code == 302, response.content.decode()
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def statuses() -> dict[str, int]:
    found = list(Interrupt.objects.values_list("status", flat=True))
    return {status: found.count(status) for status in set(found)}


def test_the_arguments_are_listed_before_anything_is_decided(desk: Client, bookings: list[Interrupt]) -> None:
    content = ask(desk, "approve", bookings).content.decode()
    for number in range(3):
        assert f"Hotel{number}" in content
    assert "Approve 3 calls" in content
    assert statuses() == {"pending": 3}


def test_several_are_approved(desk: Client, bookings: list[Interrupt]) -> None:
    assert send(desk, "accept", bookings) == "3 decided, 0 skipped."
    assert statuses() == {"approved": 3}


def test_several_are_rejected_with_one_reason(desk: Client, bookings: list[Interrupt]) -> None:
    send(desk, "reject", bookings, "too dear")
    assert set(Interrupt.objects.values_list("status", "answer_message")) == {("rejected", "too dear")}


def test_a_reject_needs_its_reason_and_the_list_stays(desk: Client, bookings: list[Interrupt]) -> None:
    rows = [f"{review.pk}:{review.version}:{review.args_digest}" for review in bookings]
    content = desk.post(f"{QUEUE}bulk/", {"kind": "reject", "row": rows, "message": " "}).content.decode()
    assert "Enter a reason" in content
    assert "Hotel2" in content
    assert statuses() == {"pending": 3}


@pytest.mark.parametrize("kind", ["accept", "reject"])
def test_10_a_row_that_was_decided_meanwhile_is_skipped_and_told(
    desk: Client, bookings: list[Interrupt], kind: str
) -> None:
    thief = User.objects.create_superuser("thief")
    decide(bookings[1].pk, thief, Choice(kind, message="mine"))
    told = send(desk, kind, bookings, "mine")
    assert told == "2 decided, 1 skipped (1 already decided)."
    assert Review.objects.get(pk=bookings[1].pk).answered_by == "thief"


def test_a_row_that_is_stolen_while_it_is_decided_is_skipped(
    desk: Client, bookings: list[Interrupt], monkeypatch: Any
) -> None:
    thief = User.objects.create_superuser("thief")

    def steal(pk: Any, principal: Any, choice: Any) -> Any:
        decide(pk, thief, Choice("accept"))
        return decide(pk, principal, choice)

    monkeypatch.setattr(bulk.services, "decide", steal)
    assert send(desk, "accept", bookings) == "0 decided, 3 skipped (3 already decided)."


def test_a_row_that_changed_since_it_was_listed_is_skipped(desk: Client, bookings: list[Interrupt]) -> None:
    Interrupt.objects.filter(pk=bookings[0].pk).update(version=9)
    assert send(desk, "accept", bookings) == "2 decided, 1 skipped (1 changed since it was listed)."


def test_11_high_risk_is_left_out_of_the_list_also_across_pages(
    desk: Client, bookings: list[Interrupt], mail: Interrupt
) -> None:
    content = ask(desk, "approve", bookings, select_across="1").content.decode()
    assert "1 left out: high risk" in content
    assert "send_email" not in content.split("bulk-list")[1]


def test_11_high_risk_is_refused_also_when_a_page_is_forged(desk: Client, mail: Interrupt) -> None:
    assert "0 decided, 1 skipped" in send(desk, "accept", [mail])
    assert statuses() == {"pending": 1}


def test_only_high_risk_has_no_page(desk: Client, mail: Interrupt) -> None:
    assert ask(desk, "approve", [mail]).status_code == 302


@pytest.mark.parametrize("forged", [True, False])
def test_calls_of_several_tools_are_not_decided_together(desk: Client, bookings: list[Interrupt], forged: bool) -> None:
    Interrupt.objects.filter(pk=bookings[0].pk).update(tool="other")
    if forged:
        assert "0 decided, 3 skipped" in send(desk, "accept", bookings)
    else:
        assert ask(desk, "approve", bookings).status_code == 302
    assert statuses() == {"pending": 3}


def test_calls_in_doubt_are_looked_at_alone(desk: Client, bookings: list[Interrupt]) -> None:
    Interrupt.objects.update(kind="in_doubt")
    assert ask(desk, "reject", bookings).status_code == 302
    assert "not a plain tool call" in send(desk, "reject", bookings, "no")


def test_what_the_terms_do_not_allow_is_left_out(desk: Client, bookings: list[Interrupt]) -> None:
    verdict = bookings[0].verdict_text.replace('["accept","edit","response","reject"]', '["reject"]')
    Interrupt.objects.filter(pk=bookings[0].pk).update(verdict_text=verdict)
    assert "2 decided, 1 skipped (1 its terms" in send(desk, "accept", bookings)


def test_selected_rows_that_left_the_lists_filter_are_still_told(desk: Client, bookings: list[Interrupt]) -> None:
    Interrupt.objects.filter(pk=bookings[0].pk).update(status="approved")
    assert "1 left out: already decided" in ask(desk, "approve", bookings).content.decode()


def test_no_more_than_the_limit_are_listed(desk: Client, bookings: list[Interrupt], monkeypatch: Any) -> None:
    monkeypatch.setattr(bulk, "LIMIT", 2)
    content = ask(desk, "approve", bookings).content.decode()
    assert "1 left out: over the limit of 2 at once" in content
    assert send(desk, "accept", bookings) == "2 decided, 0 skipped."


def test_nonsense_is_skipped(desk: Client, bookings: list[Interrupt]) -> None:
    rows = ["x", "1:2:3", f"{bookings[0].task_id}:1:d", "a:b:c:d"]
    response = desk.post(f"{QUEUE}bulk/", {"kind": "accept", "row": rows})
    assert response.status_code == 302
    assert desk.post(f"{QUEUE}bulk/", {"kind": "explode", "row": rows}).status_code == 200
    assert statuses() == {"pending": 3}


def test_the_page_of_several_decisions_has_no_address_of_its_own(desk: Client) -> None:
    assert desk.get(f"{QUEUE}bulk/").headers["Location"] == QUEUE


def test_7_who_may_only_look_decides_nothing(bookings: list[Interrupt]) -> None:
    client = Client()
    client.force_login(grant(User.objects.create_user("vic", is_staff=True), "reviews.view_review"))
    assert "approve_selected" not in client.get(QUEUE).content.decode()
    ask(client, "approve", bookings)
    assert client.post(f"{QUEUE}bulk/", {"kind": "accept", "row": []}).status_code == 403
    assert statuses() == {"pending": 3}
