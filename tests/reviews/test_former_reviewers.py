"""What becomes of a decision whose giver may not decide any more when the call is about to run."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from agents import checks
from agents.models import Interrupt, Task, ToolCall
from agents.policy import Call, Terms, Verdict
from reviews.decisions.services import Choice, decide
from reviews.models import Decision
from tests.support.accounts import grant
from tests.support.concurrency import lapse_all
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle", "no_checkpoints")]

CHARGE = 'call charge with {"amount": 3}'


@pytest.fixture
def ask_again(settings: Any) -> None:
    settings.DECISIONS_OF_FORMER_REVIEWERS = "ask_again"


@pytest.fixture
def other(db: Any) -> User:
    return grant(User.objects.create_user("otto"), "reviews.decide_review")


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def take_right(user: User) -> None:
    user.user_permissions.clear()


def delete(user: User) -> None:
    user.delete()


LEAVE = pytest.mark.parametrize("leave", [deactivate, take_right, delete])


def approved(invoke: Any, work: Any, reviewer: User, choice: Choice | None = None) -> Task:
    """A task whose call is approved and has not run."""
    task = invoke(CHARGE)
    work()
    decide(open_review(task).pk, reviewer, choice or Choice("accept"))
    return again(task)


@LEAVE
def test_a_decision_stands_as_the_settings_come(invoke: Any, work: Any, reviewer: User, leave: Any) -> None:
    task = approved(invoke, work, reviewer)
    leave(reviewer)
    work()
    assert "charged 3" in answer_of(task)


@LEAVE
def test_or_the_call_is_asked_again(
    invoke: Any, work: Any, reviewer: User, other: User, ask_again: None, leave: Any
) -> None:
    task = approved(invoke, work, reviewer)
    leave(reviewer)
    work()
    assert calls() == []
    assert again(task).status == "interrupted"
    review = open_review(task)
    assert (review.round, review.args) == (1, {"amount": 3.0})
    decide(review.pk, other, Choice("accept"))
    work()
    assert "charged 3" in answer_of(task)
    assert calls() == ["charge 3"]
    assert Decision.objects.count() == 2


def test_so_it_is_of_an_edit(invoke: Any, work: Any, reviewer: User, ask_again: None) -> None:
    task = approved(invoke, work, reviewer, Choice("edit", {"amount": 4}))
    deactivate(reviewer)
    work()
    assert calls() == []
    assert open_review(task).args == {"amount": 4.0}


def test_who_is_still_there_is_believed(invoke: Any, work: Any, reviewer: User, ask_again: None) -> None:
    task = approved(invoke, work, reviewer)
    work()
    assert "charged 3" in answer_of(task)


def test_a_requester_too(invoke: Any, work: Any, ask_again: None, service: User) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    decide(open_review(task).pk, service, Choice("accept"))
    deactivate(service)
    work()
    assert open_review(task).round == 1


def test_who_left_the_group_that_decides_has_lost_the_right(
    invoke: Any, work: Any, reviewer: User, ask_again: None, settings: Any
) -> None:
    group = Group.objects.create(name="Finance")
    reviewer.groups.add(group)
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": f"{__name__}.finance_decides"}}
    task = approved(invoke, work, reviewer)
    reviewer.groups.clear()
    work()
    assert calls() == []
    assert open_review(task).round == 1


def finance_decides(call: Call) -> Verdict:
    return Verdict("review", "finance", Terms(deciders=("group:Finance",)))


def test_an_override_counts_while_its_superuser_is_one(own: Interrupt, root: User, work: Any, ask_again: None) -> None:
    decide(own.pk, root, Choice("accept", override_reason="nobody else is on duty"))
    User.objects.filter(pk=root.pk).update(is_superuser=False)
    work()
    assert open_review(own.task).round == 1


def test_an_override_of_one_who_still_may_counts(own: Interrupt, root: User, work: Any, ask_again: None) -> None:
    decide(own.pk, root, Choice("accept", override_reason="nobody else is on duty"))
    work()
    assert "Sent to" in answer_of(own.task)


def test_a_rejection_stands(invoke: Any, work: Any, reviewer: User, ask_again: None) -> None:
    task = approved(invoke, work, reviewer, Choice("reject", message="too much"))
    deactivate(reviewer)
    work()
    assert "too much" in answer_of(task)


def in_doubt(invoke: Any, work: Any, crash: Any, reviewer: User) -> Task:
    """A task whose call has been made and whose worker died in it."""
    task = invoke('call charge_and_crash with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    crash()
    work()
    assert open_review(task).kind == "in_doubt"
    return again(task)


def test_to_run_a_call_in_doubt_again_is_asked_again_too(
    invoke: Any, work: Any, crash: Any, reviewer: User, other: User, ask_again: None
) -> None:
    task = in_doubt(invoke, work, crash, reviewer)
    decide(open_review(task).pk, reviewer, Choice("accept"))
    deactivate(reviewer)
    work()
    assert len(calls()) == 1
    assert open_review(task).kind == "in_doubt"
    decide(open_review(task).pk, other, Choice("accept"))
    work()
    assert "charged 3" in answer_of(task)
    assert len(calls()) == 2


def test_a_second_doubt_after_that_has_a_question_of_its_own(
    invoke: Any, work: Any, crash: Any, reviewer: User, other: User, ask_again: None
) -> None:
    task = in_doubt(invoke, work, crash, reviewer)
    decide(open_review(task).pk, reviewer, Choice("accept"))
    deactivate(reviewer)
    work()
    decide(open_review(task).pk, other, Choice("accept"))
    ToolCall.objects.update(runs=2)  # it was started again, and its worker died again
    Interrupt.objects.update(used_at="2026-01-01T00:00:00Z")
    work()
    lapse_all()
    assert len(calls()) == 1
    assert open_review(task).kind == "in_doubt"


def test_a_value_that_means_nothing_is_refused_at_check_and_asks_again(
    invoke: Any, work: Any, reviewer: User, settings: Any
) -> None:
    settings.DECISIONS_OF_FORMER_REVIEWERS = "stands"
    assert [str(one.id) for one in checks.former_reviewers()] == ["agents.E011"]
    task = approved(invoke, work, reviewer)
    deactivate(reviewer)
    work()
    assert open_review(task).round == 1
