"""A policy of one's own: it judges, and its own books say how often and what was denied."""

from collections import Counter
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.test import override_settings
from typing_extensions import override

from agents import config
from agents.config import Misconfigured
from agents.models import Interrupt, ToolCall
from agents.policy import BasePolicy, Call, Denied, FunctionPolicy, Verdict
from agents.runtime import registry
from reviews.decisions.services import Choice, decide
from reviews.models import AuditEntry
from reviews.policy.plugin import RulesPolicy
from tests.support.helpers import again, answer_of, open_review

pytestmark = pytest.mark.django_db(transaction=True)

QUOTA = 7  # the number of a rule that only this policy knows
HERE = __name__


class Budgeted(BasePolicy):
    """Two bookings a user are free, a third is a person's decision; mails are denied."""

    used: ClassVar[Counter[str]] = Counter()
    denied: ClassVar[dict[Any, Denied]] = {}
    given_back: ClassVar[list[str]] = []

    @override
    def assess(self, call: Call) -> Verdict:
        if call.tool == "send_email":
            return Verdict("deny", "no mail", reason="mail is off", rule_id=1)
        return Verdict("allow", "quota", rule_id=QUOTA)

    @override
    def consume(self, row: ToolCall, rule_id: int) -> bool:
        assert rule_id == QUOTA
        user = row.task.session.user_id
        if self.used[user] == 2:
            return False
        self.used[user] += 1
        return True

    @override
    def give_back(self, row: ToolCall, rule_id: int) -> None:
        assert rule_id == QUOTA
        self.given_back.append(row.tool)
        self.used[row.task.session.user_id] -= 1

    @override
    def record_denial(self, denied: Denied) -> bool:
        return self.denied.setdefault(denied.call, denied) is denied


instance = Budgeted()


def allowing(call: Call) -> Verdict:
    return Verdict("allow", "a function")


@pytest.fixture(params=["Budgeted", "instance"])
def budgeted(request: Any, settings: Any) -> type[Budgeted]:
    """The default agent is judged by it, named as a class or as an instance."""
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": f"{HERE}.{request.param}"}}
    for book in (Budgeted.used, Budgeted.denied, Budgeted.given_back):
        book.clear()
    registry.agent.cache_clear()
    registry.graph.cache_clear()
    return Budgeted


def test_its_limit_sends_the_third_call_to_a_person(budgeted: Any, invoke: Any, work: Any) -> None:
    tasks = [invoke(f"book the Hotel{number} for 2 nights", session=f"s{number}") for number in range(3)]
    work()
    assert [again(task).status for task in tasks] == ["completed", "completed", "interrupted"]
    assert open_review(tasks[2]).tool == "book_hotel"
    assert budgeted.used == {"ann": 2}
    assert ToolCall.objects.count() == 2


def test_its_limit_is_a_users_own(budgeted: Any, invoke: Any, work: Any) -> None:
    for number in range(4):
        invoke("book the Ritz for 2 nights", session=f"s{number}", user=f"user{number % 2}")
    work()
    assert Interrupt.objects.count() == 0
    assert budgeted.used == {"user0": 2, "user1": 2}


def test_it_is_told_of_each_denied_call_once_and_the_desks_books_are_not(budgeted: Any, invoke: Any, work: Any) -> None:
    task = invoke("email bob@example.com saying hello")
    work()
    assert "mail is off" in answer_of(task)
    [denied] = budgeted.denied.values()
    assert (denied.tool, denied.task, denied.rule_id) == ("send_email", task.pk, 1)
    assert not AuditEntry.objects.filter(verb=AuditEntry.Verb.DENIED).exists()


def test_a_crash_between_consuming_and_running_takes_nothing_twice(
    oracle: None, budgeted: Any, invoke: Any, crash: Any, work: Any
) -> None:
    task = invoke('call charge_and_crash with {"amount": 5}')
    crash()
    work()
    assert budgeted.used["ann"] == 1
    assert again(task).status == "interrupted", "it is in doubt, which no policy lets through"


def asking(call: Call) -> Verdict:
    CALLS.append(call)
    return Verdict("review", "a person decides each call")


CALLS: list[Call] = []


def test_an_edit_is_judged_on_the_declared_terms_though_the_policy_does_not_pass_them_on(
    settings: Any, invoke: Any, work: Any, reviewer: Any
) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": f"{HERE}.asking"}}
    registry.agent.cache_clear()
    CALLS.clear()
    task = invoke("email bob@example.com saying hello")
    work()
    asked = open_review(task)
    declared = Verdict.from_text(asked.verdict_text).terms
    assert declared.distinct
    decide(asked.pk, reviewer, Choice("edit", {"to": "eve@example.com", "subject": "hello", "body": "hello"}))
    assert [call.declared for call in CALLS] == [declared] * 2
    assert Verdict.from_text(Interrupt.objects.get().answer_verdict_text).terms == declared


class Forgetful(BasePolicy):
    """Gives numbers of rules and counts none."""

    @override
    def assess(self, call: Call) -> Verdict:
        return Verdict("allow", "a rule", rule_id=1)

    @override
    def record_denial(self, denied: Denied) -> bool:
        return True


class Unfinished(BasePolicy):
    """Judges, and records no denial."""

    @override
    def assess(self, call: Call) -> Verdict:
        return Verdict("allow", "a rule")


def test_a_policy_that_names_a_rule_and_does_not_count_its_uses_lets_nothing_run(
    settings: Any, invoke: Any, work: Any
) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": f"{HERE}.Forgetful"}}
    registry.agent.cache_clear()
    task = invoke("book the Ritz for 2 nights")
    work()
    assert again(task).status == "error"
    assert not ToolCall.objects.exists()


ASK_TWICE = 'call ask_twice with {"where": "Spain"}'  # asks before it does anything, so its entry is taken back


def test_a_call_that_asks_by_itself_gives_its_use_back(budgeted: Any, odd_tools: None, invoke: Any, work: Any) -> None:
    task = invoke(ASK_TWICE)
    work()
    assert (again(task).status, open_review(task).kind) == ("interrupted", "question")
    assert (budgeted.given_back, budgeted.used["ann"]) == (["ask_twice"], 0)


def test_where_no_rule_let_it_in_there_is_nothing_to_give_back(
    budgeted: Any, odd_tools: None, invoke: Any, work: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Budgeted, "assess", lambda self, call: Verdict("allow", "free"))
    task = invoke(ASK_TWICE)
    work()
    assert (again(task).status, open_review(task).kind) == ("interrupted", "question")
    assert (budgeted.given_back, dict(budgeted.used)) == ([], {})


def test_a_function_keeps_the_desks_books() -> None:
    with override_settings(AGENTS={"default": {**_entry(), "POLICY": f"{HERE}.allowing"}}):
        found = config.policy("default")
    assert isinstance(found, FunctionPolicy)
    assert isinstance(found.records, RulesPolicy)


@pytest.mark.parametrize(
    "path", [f"{HERE}.QUOTA", f"{HERE}.Counter", f"{HERE}.nothing", f"{HERE}.Unfinished", "no.such.module"]
)
def test_what_is_no_policy_is_said_by_its_name(path: str) -> None:
    with override_settings(AGENTS={"default": {**_entry(), "POLICY": path}}), pytest.raises(Misconfigured, match=path):
        config.policy("default")


def test_one_instance_serves_a_process() -> None:
    assert config.policy("default") is config.policy("default")


def _entry() -> dict[str, Any]:
    return dict(settings.AGENTS["default"])
