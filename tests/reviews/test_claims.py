"""Claims: who looks at a review is shown to others, and binds nobody."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Interrupt
from reviews.decisions import claims
from reviews.decisions.services import Choice, decide, expire
from reviews.models import AuditEntry, Claim
from tests.support.accounts import client_of, grant
from tests.support.concurrency import in_threads
from tests.support.helpers import open_review

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def roy(db: Any) -> User:
    """A second reviewer."""
    return grant(User.objects.create_user("roy", is_staff=True), "reviews.decide_review")


def post(user: User | None, review: Interrupt, action: str = "claim", **body: Any) -> Any:
    return client_of(user).post(f"/reviews/{review.pk}/{action}", body)


def holder(review: Interrupt, user: User) -> str | None:
    shown = client_of(user).get(f"/reviews/{review.pk}").json()["claimed_by"]
    return shown and shown["user"]


def verbs() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))


def run_out() -> None:
    Claim.objects.update(until="2020-01-01T00:00:00Z")


def test_a_claim_is_shown_to_others_with_its_end(booking: Interrupt, reviewer: User, roy: User) -> None:
    response = post(reviewer, booking)
    assert (response.status_code, response.json()["claimed_by"]["user"]) == (200, "rita")
    listed = client_of(roy).get("/reviews").json()["results"][0]["claimed_by"]
    assert listed == {"user": "rita", "until": response.json()["claimed_by"]["until"]}


def test_it_lasts_five_minutes_by_the_databases_clock(booking: Interrupt, reviewer: User) -> None:
    claims.claim(booking.pk, reviewer)
    made = AuditEntry.objects.get().at
    assert 299 < (Claim.objects.get().until - made).total_seconds() < 301


def test_what_is_claimed_conflicts_and_names_who_has_it(booking: Interrupt, reviewer: User, roy: User) -> None:
    post(reviewer, booking)
    response = post(roy, booking)
    assert (response.status_code, response.json()["code"]) == (409, "claimed")
    assert response.json()["claimed_by"]["user"] == "rita"


def test_whoever_may_decide_may_take_it_over(booking: Interrupt, reviewer: User, roy: User) -> None:
    post(reviewer, booking)
    assert post(roy, booking, take_over=True).json()["claimed_by"]["user"] == "roy"
    assert verbs() == ["claimed", "taken_over"]


def test_what_has_run_out_is_free(booking: Interrupt, reviewer: User, roy: User) -> None:
    post(reviewer, booking)
    run_out()
    assert holder(booking, reviewer) is None
    assert post(roy, booking).json()["claimed_by"]["user"] == "roy"
    assert verbs() == ["claimed", "claimed"]


def test_claiming_again_moves_the_end_and_makes_no_entry(booking: Interrupt, reviewer: User) -> None:
    claims.claim(booking.pk, reviewer)
    before = Claim.objects.get().until
    claims.claim(booking.pk, reviewer)
    assert Claim.objects.get().until > before
    assert verbs() == ["claimed"]


def test_releasing_gives_it_back_once(booking: Interrupt, reviewer: User) -> None:
    post(reviewer, booking)
    for _ in range(2):
        assert post(reviewer, booking, "release").json()["claimed_by"] is None
    assert verbs() == ["claimed", "released"]


def test_nobody_releases_anothers_claim(booking: Interrupt, reviewer: User, roy: User) -> None:
    post(reviewer, booking)
    assert post(roy, booking, "release").json()["claimed_by"]["user"] == "rita"


def test_deciding_needs_no_claim_and_ends_it(booking: Interrupt, reviewer: User, roy: User) -> None:
    post(reviewer, booking)
    decide(booking.pk, roy, Choice("accept"))
    assert not Claim.objects.exists()
    assert (post(reviewer, booking).status_code, post(reviewer, booking).json()["code"]) == (409, "not_open")


def test_an_expiry_ends_it(booking: Interrupt, reviewer: User) -> None:
    post(reviewer, booking)
    Interrupt.objects.update(expires_at="2020-01-01T00:00:00Z")
    expire()
    assert not Claim.objects.exists()


def test_what_is_cancelled_is_claimed_by_nobody(booking: Interrupt, reviewer: User) -> None:
    post(reviewer, booking)
    Interrupt.objects.update(status="cancelled")
    assert holder(booking, reviewer) is None


def test_of_many_that_claim_at_once_one_has_it(booking: Interrupt, reviewer: User, roy: User) -> None:
    people = [reviewer, roy] * 3
    results = in_threads(6, lambda number: claims.claim(booking.pk, people[number]))
    winner = Claim.objects.get().by
    assert [isinstance(one, claims.Claimed) for one in results] == [one != winner for one in people]
    assert verbs() == ["claimed"]


def test_a_claim_goes_with_its_user_and_with_its_review(
    booking: Interrupt, reviewer: User, roy: User, api: Any
) -> None:
    post(reviewer, booking)
    User.objects.filter(pk=reviewer.pk).delete()
    assert holder(booking, roy) is None
    post(roy, booking)
    assert api.delete("/agent/session/ann/s1").status_code == 200
    assert not Claim.objects.exists()


def test_the_owner_may_claim_what_they_may_decide(booking: Interrupt, ann: User) -> None:
    assert post(ann, booking).status_code == 200


@pytest.mark.parametrize("action", ["claim", "release"])
def test_outsiders_get_nothing(booking: Interrupt, bob: User, action: str) -> None:
    assert post(bob, booking, action).status_code == 404
    assert post(None, booking, action).status_code == 401
    assert client_of(bob).post(f"/reviews/nonsense/{action}").status_code == 404
    assert not Claim.objects.exists()


def test_who_may_not_decide_may_not_claim(invoke: Any, work: Any, ann: User) -> None:
    task = invoke("email bob@example.com saying hello")
    work()
    assert post(ann, open_review(task)).status_code == 403


def test_a_claim_says_take_over_or_nothing(booking: Interrupt, reviewer: User) -> None:
    assert post(reviewer, booking, take_over="perhaps").status_code == 400


def test_a_list_asks_for_all_claims_at_once(booking: Interrupt, reviewer: User, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        claims.held([booking] * 50)
    with django_assert_num_queries(0):
        claims.held([])
