"""What else one does on the review page: override, take over, leave, allow always."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents.models import Interrupt
from reviews.decisions import claims
from reviews.decisions.services import Choice, decide
from reviews.models import AuditEntry, Claim, Decision, PolicyRule
from reviews.policy import rules
from tests.reviews.test_admin import QUEUE, page_of, post, status_of
from tests.support.accounts import grant, pages_of
from tests.support.helpers import open_review

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chief(reviewer: User) -> User:
    """A reviewer who may add rules."""
    return grant(reviewer, rules.ADD, "reviews.view_policyrule")


def test_a_superuser_is_asked_for_a_reason_on_their_own_request(own: Interrupt, root: User) -> None:
    desk = pages_of(root)
    assert "This is your own request" in desk.get(page_of(own)).content.decode()
    assert "Enter a reason" in post(desk, own, "confirm").content.decode()
    assert status_of(own) == "pending"
    post(desk, own, "confirm", override_reason="nobody else is on duty")
    assert (status_of(own), Decision.objects.get().override_reason) == ("approved", "nobody else is on duty")


def test_a_requester_who_is_no_superuser_is_offered_no_override(own: Interrupt, reviewer: User) -> None:
    own.task.session.user_id = reviewer.username
    own.task.session.save()
    desk = pages_of(reviewer)
    assert "This is your own request" not in desk.get(page_of(own)).content.decode()
    assert post(desk, own, "confirm", override_reason="I want it").status_code == 403
    assert status_of(own) == "pending"


def test_a_reason_is_asked_of_nobody_else(own: Interrupt, reviewer: User) -> None:
    desk = pages_of(reviewer)
    assert "override_reason" not in desk.get(page_of(own)).content.decode()
    post(desk, own, "confirm")
    assert status_of(own) == "approved"


def claim(desk: Client, review: Interrupt, what: str) -> Any:
    return desk.post(f"{QUEUE}{review.pk}/claim/", {"claim": what}, follow=True)


def test_a_claim_is_taken_over_and_left_to_others(booking: Interrupt, reviewer: User, root: User) -> None:
    claims.claim(booking.pk, root)
    desk = pages_of(reviewer)
    assert "claimed by root" in desk.get(page_of(booking)).content.decode()
    assert "Release claim" in claim(desk, booking, "take").content.decode()
    assert Claim.objects.get().by == reviewer
    claim(desk, booking, "release")
    assert not Claim.objects.exists()
    assert list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True)) == [
        "claimed",
        "taken_over",
        "released",
    ]


def test_a_claim_on_what_is_decided_is_told_of(booking: Interrupt, reviewer: User) -> None:
    decide(booking.pk, reviewer, Choice("reject", message="no"))
    assert "no longer open" in claim(pages_of(reviewer), booking, "take").content.decode()


def test_what_i_have_claimed_is_mine(booking: Interrupt, reviewer: User, root: User) -> None:
    claims.claim(booking.pk, root)
    for user, mine in ((root, 1), (reviewer, 0)):
        changelist = pages_of(user).get(f"{QUEUE}?status=mine").context["cl"]
        assert (changelist.result_count, changelist.counts["mine"]) == (mine, mine)


def allow(desk: Client, review: Interrupt, **more: Any) -> Any:
    return desk.post(f"{QUEUE}{review.pk}/always/", {"scope": "session", "days": 3, "uses": 5, **more}, follow=True)


def test_an_approved_call_can_be_allowed_always(booking: Interrupt, chief: User) -> None:
    desk = pages_of(chief)
    assert "always allow…" in post(desk, booking, "accept").wsgi_request._messages._queued_messages[0].message
    assert "Always allow this exact call" in desk.get(page_of(booking)).content.decode()
    told = allow(desk, booking).content.decode()
    rule = PolicyRule.objects.get()
    assert (rule.made_from, rule.use_limit, rule.session) == (booking.pk, 5, booking.task.session)
    assert "0 of 5 calls have run" in told
    assert "Always allow this exact call" not in told


@pytest.mark.parametrize("wrong", [{"scope": "world"}, {"days": 31}, {"uses": 0}, {"uses": ""}])
def test_bounds_that_are_none_allow_nothing(booking: Interrupt, chief: User, wrong: dict[str, Any]) -> None:
    decide(booking.pk, chief, Choice("accept"))
    assert "arg-error" in allow(pages_of(chief), booking, **wrong).content.decode()
    assert not PolicyRule.objects.exists()


def test_without_the_right_to_add_rules_nothing_is_offered_or_done(booking: Interrupt, reviewer: User) -> None:
    decide(booking.pk, reviewer, Choice("accept"))
    desk = pages_of(reviewer)
    assert "Always allow this exact call" not in desk.get(page_of(booking)).content.decode()
    allow(desk, booking)
    assert not PolicyRule.objects.exists()


@pytest.mark.parametrize("what", ["claim", "always"])
def test_8_a_get_does_none_of_it(booking: Interrupt, chief: User, what: str) -> None:
    decide(booking.pk, chief, Choice("accept"))
    assert pages_of(chief).get(f"{QUEUE}{booking.pk}/{what}/").status_code == 403
    assert not PolicyRule.objects.exists()


def test_the_conversation_ends_with_what_the_agent_said_and_did(invoke: Any, work: Any, reviewer: User) -> None:
    task = invoke("multiply 6 by 7 then book the Ritz for 2 nights")
    work()
    page = pages_of(reviewer).get(page_of(open_review(task))).context["conversation"]
    assert [who for who, _ in page] == ["human", "ai", "tool", "ai"]
    assert page[2][1] == "42"
    assert page[3][1] == "[demo model] I would like to use book_hotel."
