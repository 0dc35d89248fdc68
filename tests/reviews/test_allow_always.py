"""Always allow: the narrowest rule from an approved call, with an end, and revocable."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from agents.models import Interrupt
from agents.policy import Verdict
from core.errors import Invalid, NotAllowed
from reviews.decisions.services import Choice, decide
from reviews.models import AuditEntry, PolicyRule
from reviews.policy import rules
from tests.support.accounts import grant
from tests.support.helpers import again, open_review

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chief(reviewer: User) -> User:
    """A reviewer who may add rules."""
    return grant(reviewer, rules.ADD)


@pytest.fixture
def booking(invoke: Any, work: Any) -> Interrupt:
    task = invoke("book the Ritz for 2 nights", session="home")
    work()
    return open_review(task)


@pytest.fixture
def approved(booking: Interrupt, chief: User) -> Interrupt:
    return decide(booking.pk, chief, Choice("accept"))


@pytest.fixture
def ask(invoke: Any, work: Any, approved: Interrupt) -> Any:
    """The status of a task after it was worked on."""
    work()

    def submit(query: str = "book the Ritz for 2 nights", **more: Any) -> str:
        task = invoke(query, **more)
        work()
        return str(again(task).status)

    return submit


def soon() -> datetime:
    return timezone.now() + timedelta(days=1)


def allow(review: Interrupt, principal: User, scope: Any = "user", **more: Any) -> PolicyRule:
    return rules.allow_always(review, principal, scope=scope, **{"until": soon(), "uses": 10, **more})


def test_the_same_call_goes_through_from_now_on(ask: Any, approved: Interrupt, chief: User) -> None:
    made = allow(approved, chief)
    assert ask(session="other") == "completed"
    assert AuditEntry.objects.get(verb="let_through").rule == made.pk
    assert AuditEntry.objects.get(verb="rule_created").actor == "rita"


@pytest.mark.parametrize(
    ("query", "user"),
    [
        ("book the Ritz for 3 nights", "ann"),
        ("book the Savoy for 2 nights", "ann"),
        ("book the Ritz for 2 nights", "bob"),
        ("book the Ritz for 2 nights", "ann2"),
    ],
)
def test_no_other_call_does(ask: Any, approved: Interrupt, chief: User, query: str, user: str) -> None:
    allow(approved, chief)
    assert ask(query, user=user, session="other") == "interrupted"


def test_in_a_session_means_in_this_one(ask: Any, approved: Interrupt, chief: User) -> None:
    allow(approved, chief, "session")
    assert (ask(session="home"), ask(session="other")) == ("completed", "interrupted")


def test_it_is_used_up(ask: Any, approved: Interrupt, chief: User) -> None:
    allow(approved, chief, uses=1)
    assert (ask(session="a"), ask(session="b")) == ("completed", "interrupted")


def test_it_ends(ask: Any, approved: Interrupt, chief: User) -> None:
    allow(approved, chief)
    PolicyRule.objects.update(ends_at="2020-01-01T00:00:00Z")
    assert ask(session="a") == "interrupted"


def test_it_is_revoked(ask: Any, approved: Interrupt, chief: User) -> None:
    rules.switch_off(allow(approved, chief), chief)
    assert ask(session="a") == "interrupted"


def test_it_goes_before_other_rules_but_not_before_a_deny(ask: Any, approved: Interrupt, chief: User) -> None:
    PolicyRule.objects.create(name="hotels", effect="review", position=-5)
    allow(approved, chief)
    assert ask(session="a") == "completed"
    PolicyRule.objects.create(name="none", effect="deny")
    assert (ask(session="b"), AuditEntry.objects.filter(verb="let_through").count()) == ("completed", 1)


def test_of_an_edit_it_allows_what_ran(booking: Interrupt, chief: User) -> None:
    args = {"hotel_name": "Savoy", "nights": 1}
    made = allow(decide(booking.pk, chief, Choice("edit", args)), chief)
    assert made.conditions == [{"argument": "*", "is": "equals", "value": args}]
    assert made.made_from == booking.pk


def test_names_are_no_patterns(approved: Interrupt, chief: User) -> None:
    approved.task.session.user_id = "a*[b]"
    assert allow(approved, chief).user == "a[*][[]b]"


def test_without_the_right_to_add_rules_nobody_does(booking: Interrupt, reviewer: User) -> None:
    with pytest.raises(NotAllowed):
        allow(decide(booking.pk, reviewer, Choice("accept")), reviewer)
    assert not PolicyRule.objects.exists()


def test_who_could_not_decide_it_may_not_either(approved: Interrupt, bob: User) -> None:
    with pytest.raises(NotAllowed):
        allow(approved, grant(bob, rules.ADD))


def test_never_for_high_risk(invoke: Any, work: Any, chief: User) -> None:
    task = invoke("email bob@example.com saying hello")
    work()
    with pytest.raises(NotAllowed, match="risk can't be high"):
        allow(decide(open_review(task).pk, chief, Choice("accept")), chief)


def test_never_where_an_edit_made_the_risk_high(booking: Interrupt, chief: User) -> None:
    review = decide(booking.pk, chief, Choice("edit", {"hotel_name": "Savoy", "nights": 1}))
    asked = Verdict.from_text(review.answer_verdict_text)
    review.answer_verdict_text = asked.to_text().replace('"medium"', '"high"')
    with pytest.raises(NotAllowed):
        allow(review, chief)


@pytest.mark.parametrize("kind", ["in_doubt", "question"])
def test_only_for_tool_calls(approved: Interrupt, chief: User, kind: str) -> None:
    approved.kind = kind
    with pytest.raises(NotAllowed):
        allow(approved, chief)


def test_only_what_was_approved(booking: Interrupt, chief: User) -> None:
    with pytest.raises(rules.NotApproved):
        allow(booking, chief)
    with pytest.raises(rules.NotApproved):
        allow(decide(booking.pk, chief, Choice("reject")), chief)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scope", "everybody"),
        ("until", timedelta(days=31)),
        ("until", timedelta(seconds=-1)),
        ("uses", 0),
        ("uses", 1001),
    ],
)
def test_its_bounds(approved: Interrupt, chief: User, field: str, value: Any) -> None:
    value = timezone.now() + value if field == "until" else value
    with pytest.raises(Invalid) as refused:
        allow(approved, chief, **{field: value})
    assert list(refused.value.extra["errors"]) == [field]


def test_arguments_that_are_too_long_are_no_rule(approved: Interrupt, chief: User) -> None:
    approved.args_text = '{"text": "' + "x" * 10_000 + '"}'
    with pytest.raises(Invalid, match="too long for a rule"):
        allow(approved, chief)


def test_a_rule_that_calls_it_low_makes_no_high_risk_low(invoke: Any, work: Any, chief: User) -> None:
    PolicyRule.objects.create(name="mails are low", effect="review", tool="send_email", risk="low")
    task = invoke("email bob@example.com saying hi")
    work()
    review = decide(open_review(task).pk, chief, Choice("accept"))
    with pytest.raises(NotAllowed):
        allow(review, chief)


def test_the_same_review_makes_one_rule(approved: Interrupt, chief: User) -> None:
    made = allow(approved, chief)
    with pytest.raises(rules.AlreadyAllowed):
        allow(approved, chief)
    rules.switch_off(made, chief)
    assert allow(approved, chief).pk != made.pk
