"""A decided call that failed, never ran or is in doubt says so on its page; one in doubt asks before it runs again."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents import services as agents
from agents.models import Interrupt, Task
from reviews.decisions.services import Choice, decide
from tests.support.helpers import open_review
from tests.support.oracle import calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("odd_tools")]

QUEUE = "/admin/reviews/review/"


@pytest.fixture
def approved(invoke: Any, work: Any, reviewer: User) -> Any:
    """A call that was asked and approved, and that no worker has gone on with."""

    def approve(text: str, choice: Choice | None = None) -> Interrupt:
        task = invoke(f"call {text}")
        work()
        return decide(open_review(task).pk, reviewer, choice or Choice("accept"))

    return approve


def told(desk: Client, review: Interrupt) -> str:
    """What the page says became of the call."""
    content = desk.get(f"{QUEUE}{review.pk}/change/").content.decode()
    return content.split('id="outcome">')[1].split("</p>")[0] if 'id="outcome"' in content else ""


def test_a_call_that_ran_needs_no_words(desk: Client, approved: Any, work: Any) -> None:
    review = approved('charge with {"amount": 3}')
    work()
    assert told(desk, review) == ""


def test_one_that_waits_for_a_worker_has_not_run_yet(desk: Client, approved: Any) -> None:
    assert "has not run yet" in told(desk, approved('charge with {"amount": 3}'))


def test_one_that_failed_says_so_beside_the_result(desk: Client, approved: Any, work: Any) -> None:
    review = approved('charge_and_refuse with {"amount": 3}')
    work()
    assert "The call failed" in told(desk, review)
    assert "the card is blocked" in desk.get(f"{QUEUE}{review.pk}/change/").content.decode()


def test_one_whose_task_was_cancelled_first_never_ran(desk: Client, approved: Any, work: Any) -> None:
    review = approved('charge with {"amount": 3}')
    agents.cancel(Task.objects.get())
    work()
    assert "never ran: its task ended first (Cancelled)" in told(desk, review)
    assert calls() == []


def test_one_that_was_altered_never_ran_and_the_error_is_told(desk: Client, approved: Any, work: Any) -> None:
    review = approved('charge with {"amount": 3}')
    Interrupt.objects.update(args_text='{"amount":9}')
    work()
    assert "never ran" in told(desk, review)
    assert "altered" in told(desk, review)


def test_one_that_was_asked_again_leads_to_the_new_review(desk: Client, approved: Any, work: Any) -> None:
    review = approved('charge with {"amount": 3}')
    Interrupt.objects.update(answered_at="2020-01-01T00:00:00Z")  # too long ago for its terms
    work()
    again = Interrupt.objects.get(status="pending")
    assert "A new review was requested" in told(desk, review)
    assert str(again.pk) in told(desk, review)


def test_one_that_ended_in_doubt_leads_to_that_review(desk: Client, approved: Any, work: Any) -> None:
    review = approved('charge_and_time_out with {"amount": 3}')
    work()
    assert "unknown whether it took effect" in told(desk, review)
    assert str(Interrupt.objects.get(kind="in_doubt").pk) in told(desk, review)


@pytest.mark.parametrize("kind", ["reject", "response"])
def test_what_was_never_to_run_has_no_outcome(desk: Client, approved: Any, kind: str) -> None:
    choice = Choice("reject", message="no") if kind == "reject" else Choice("response", "no")
    assert told(desk, approved('charge with {"amount": 3}', choice)) == ""


@pytest.fixture
def doubt(approved: Any, work: Any) -> Interrupt:
    approved('charge_and_time_out with {"amount": 3}')
    work()
    return Interrupt.objects.get(kind="in_doubt")


def post(desk: Client, review: Interrupt, response_type: str, **more: str) -> Any:
    body = {"response_type": response_type, "version": review.version, "digest": review.args_digest, **more}
    return desk.post(f"{QUEUE}{review.pk}/change/", body)


def test_running_it_again_asks_once_more_whatever_the_risk(desk: Client, doubt: Interrupt, work: Any) -> None:
    assert doubt.risk != "high"
    content = post(desk, doubt, "accept").content.decode()
    assert "makes it happen twice" in content.split('class="once-more"')[1]
    work()
    assert len(calls()) == 1
    post(desk, doubt, "confirm")
    work()
    assert len(calls()) == 2


def test_its_keys_are_its_own(desk: Client, doubt: Interrupt, invoke: Any, work: Any) -> None:
    keys = {}
    task = invoke('call charge with {"amount": 3}', session="s2")
    work()
    for name, review in (("call", open_review(task)), ("doubt", doubt)):
        content = desk.get(f"{QUEUE}{review.pk}/change/").content.decode()
        keys[name] = {part.split('"')[0] for part in content.split('aria-keyshortcuts="')[1:]}
    assert keys["call"] & keys["doubt"] == {"n", "u"}
    assert len(keys["doubt"]) == 5
