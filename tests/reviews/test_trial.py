"""Try it: what a rule would have done, without doing anything."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Interrupt
from reviews.decisions.services import Choice, decide
from reviews.models import AuditEntry, PolicyRule
from reviews.policy import conditions, dry_run
from reviews.policy.dry_run import Tried
from reviews.policy.engine import Match
from tests.support.helpers import open_review

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def calls(invoke: Any, work: Any) -> None:
    """Two bookings that wait and a multiplication that has run, in this order."""
    for number, query in enumerate(["book the Ritz for 2 nights", "book the Savoy for 9 nights", "multiply 6 by 7"]):
        invoke(query, session=f"s{number}")
        work()


def rule(effect: str, lines: str = "", **more: Any) -> PolicyRule:
    data = [one.data() for one in conditions.read(lines)]
    return PolicyRule(effect=effect, conditions=data, **{"name": effect, **more})


def tried(made: PolicyRule, **more: Any) -> list[Tried]:
    """As somebody tries it who sees every call."""
    return dry_run.tried(made, User(username="root", is_staff=True, is_superuser=True), **more)


def said(results: list[Tried]) -> list[tuple[str, str, str]]:
    return [(one.match.value, one.before.action, one.after.action) for one in results]


def test_an_unsaved_rule_is_held_against_the_last_calls(calls: None) -> None:
    results = tried(rule("allow", "nights < 5", tool="book_hotel"))
    assert said(results) == [("no", "allow", "allow"), ("no", "review", "review"), ("yes", "review", "allow")]
    assert [one.changed for one in results] == [False, False, True]


def test_it_writes_nothing(calls: None) -> None:
    tried(rule("allow", use_limit=1))
    assert not PolicyRule.objects.exists()
    assert not AuditEntry.objects.exists()
    assert set(Interrupt.objects.values_list("status", flat=True)) == {"pending"}


def test_of_a_saved_rule_before_is_without_it(calls: None) -> None:
    made = rule("deny", tool="multiply")
    made.save()
    assert said(tried(made))[0] == ("yes", "allow", "deny")


def test_other_rules_count_in_their_order(calls: None) -> None:
    rule("review", position=5).save()
    assert {one.after.action for one in tried(rule("allow", position=6))} == {"review"}
    assert {one.after.action for one in tried(rule("allow", position=5))} == {"review"}
    assert {one.after.action for one in tried(rule("allow", position=4))} == {"allow"}


def test_what_can_not_be_judged_is_told(calls: None) -> None:
    results = tried(rule("deny", "nights > 5"))
    assert said(results) == [
        ("unsure", "allow", "deny"),
        ("yes", "review", "deny"),
        ("no", "review", "review"),
    ]


def test_other_terms_are_a_change(calls: None) -> None:
    results = tried(rule("review", tool="book_hotel", risk="high"))
    assert [one.changed for one in results] == [False, True, True]


def test_a_call_that_was_reviewed_and_ran_is_one(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    (only,) = tried(rule("allow"))
    assert (only.before.action, only.match) == ("review", Match.YES)


def test_at_most_so_many_are_looked_at(calls: None) -> None:
    assert [one.past.call.tool for one in tried(rule("allow"), last=2)] == ["multiply", "book_hotel"]


def test_a_rule_of_a_session_speaks_of_no_other(calls: None) -> None:
    session = Interrupt.objects.earliest("created_at").task.session
    assert [one.match for one in tried(rule("deny", session=session))] == [Match.NO, Match.NO, Match.YES]


def test_of_a_tool_whose_calls_a_rule_lets_through_the_review_is_what_it_spares(invoke: Any, work: Any) -> None:
    made = rule("allow", tool="book_hotel")
    made.save()
    invoke("book the Ritz for 2 nights")
    work()
    assert not Interrupt.objects.exists(), "so nobody has noted what the tool declares"
    assert said(tried(made)) == [("yes", "review", "allow")]
