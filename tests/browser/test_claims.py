"""An open review page shows others who looks at it."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Interrupt
from reviews.decisions import claims
from reviews.models import Claim
from tests.support.accounts import grant
from tests.support.processes import until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_opening_the_page_claims_the_review(desk: Any, booking: Interrupt) -> None:
    desk.open(booking)
    until(Claim.objects.exists)
    assert Claim.objects.get().by.get_username() == "rita"
    assert desk.errors == []


def test_what_somebody_else_looks_at_says_so_and_is_left_to_them(desk: Any, booking: Interrupt) -> None:
    other = grant(User.objects.create_user("omar", is_staff=True), "reviews.decide_review")
    claims.claim(booking.pk, other)
    desk.open(booking)
    assert "claimed by omar" in desk.page.text_content(".review")
    assert Claim.objects.get().by == other
    assert desk.errors == []
