"""What a base policy makes of a verdict: the terms, what the tool declares, and the form in which it is stored."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

from agents.policy import (
    REQUESTER,
    REVIEWERS,
    UNDECLARED,
    BasePolicy,
    Call,
    Declaration,
    Denied,
    FunctionPolicy,
    Terms,
    Verdict,
    declaration_of,
    declare,
)

HIGH = Terms(risk="high", deciders=("group:board",), distinct=True, seconds=60.0, allowed=("accept", "reject"))
LOW = Terms(risk="low", deciders=(REQUESTER,))


class Fixed(BasePolicy):
    """Gives the same verdict on every call."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    @override
    def assess(self, call: Call) -> Verdict:
        return self.verdict

    @override
    def record_denial(self, denied: Denied) -> bool:
        return True


def call(declared: Terms | None) -> Call:
    return Call(tool="pay", args={}, user_id="ann", agent="default", declared=declared)


@pytest.mark.parametrize("action", ["allow", "deny", "review"])
def test_a_verdict_without_terms_gets_those_that_the_tool_declares(action: Any) -> None:
    judged = Fixed(Verdict(action, "r")).judge(call(HIGH))
    assert (judged.action, judged.terms, judged.declared) == (action, HIGH, HIGH)


def test_a_verdict_without_terms_on_a_free_tool_gets_the_ordinary_ones() -> None:
    judged = Fixed(Verdict("review", "r")).judge(call(None))
    assert (judged.terms, judged.declared) == (Terms(), None)


@pytest.mark.parametrize("declared", [HIGH, None])
def test_terms_that_the_policy_gives_are_kept(declared: Terms | None) -> None:
    judged = Fixed(Verdict("review", "r", LOW)).judge(call(declared))
    assert (judged.terms, judged.declared) == (LOW, declared)


@pytest.mark.parametrize("declared", [HIGH, None])
def test_ordinary_terms_are_kept_where_the_policy_says_what_is_declared(declared: Terms | None) -> None:
    judged = Fixed(Verdict("review", "r", Terms(), declared=LOW)).judge(call(declared))
    assert judged.terms == Terms()


def test_a_policy_can_not_say_that_something_else_was_declared() -> None:
    assert Fixed(Verdict("review", "r", LOW, declared=LOW)).judge(call(HIGH)).declared == HIGH
    assert Fixed(Verdict("review", "r", LOW, declared=LOW)).judge(call(None)).declared is None


def test_all_else_of_a_verdict_stays_as_it_was_given() -> None:
    given = Verdict("deny", "no payments", reason="They are off.", rule_id=7)
    judged = Fixed(given).judge(call(HIGH))
    assert (judged.rule, judged.reason, judged.rule_id) == ("no payments", "They are off.", 7)
    assert given.terms == Terms(), "the verdict itself is not changed"


def test_a_policy_that_is_called_as_a_function_adds_nothing() -> None:
    given = Verdict("review", "r")
    assert Fixed(given)(call(HIGH)) is given


@pytest.mark.parametrize("action", ["", "Allow", "approve", "allow ", None, True])
def test_an_action_that_there_is_not_is_an_error_and_lets_nothing_run(action: Any) -> None:
    with pytest.raises(ValueError, match="must be allow, deny or review") as refused:
        Verdict(action, "r")
    assert repr(action) in str(refused.value)


def test_a_policy_that_counts_no_uses_says_what_it_lacks() -> None:
    row: Any = None
    with pytest.raises(
        NotImplementedError, match="Fixed returns verdicts with a rule_id, so it must implement `consume`"
    ):
        Fixed(Verdict("allow", "r", rule_id=1)).consume(row, 1)
    with pytest.raises(NotImplementedError, match="must implement `give_back`"):
        Fixed(Verdict("allow", "r", rule_id=1)).give_back(row, 1)


def test_a_function_s_verdict_gets_the_declared_terms_as_well() -> None:
    judged = FunctionPolicy(lambda call: Verdict("review", "f"), Fixed(Verdict("deny", "unused"))).judge(call(HIGH))
    assert (judged.rule, judged.terms) == ("f", HIGH)


# The stored form


@pytest.mark.parametrize("declared", [None, LOW, HIGH])
@pytest.mark.parametrize("terms", [Terms(), HIGH])
def test_a_verdict_is_restored_as_it_was_stored(terms: Terms, declared: Terms | None) -> None:
    given = Verdict("review", 'a "rule" of 张三', terms, declared, reason="é\u202e", rule_id=5)
    assert Verdict.from_text(given.to_text()) == given


def test_the_stored_form_is_the_same_each_time_and_ascii() -> None:
    given = Verdict("deny", "张三", HIGH)
    assert given.to_text() == Verdict.from_text(given.to_text()).to_text()
    assert given.to_text().isascii()


def test_each_part_of_the_terms_changes_the_stored_form() -> None:
    changes: list[dict[str, Any]] = [
        {"risk": "low"},
        {"deciders": (REVIEWERS, REQUESTER)},
        {"distinct": True},
        {"seconds": 1.0},
        {"on_expiry": "wait"},
        {"allowed": ("accept",)},
    ]
    texts = {Verdict("review", "r", replace(Terms(), **change)).to_text() for change in ({}, *changes)}
    assert len(texts) == len(changes) + 1


def test_a_stored_verdict_of_an_action_that_there_is_not_is_not_restored() -> None:
    data = {**json.loads(Verdict("review", "r").to_text()), "action": "run"}
    with pytest.raises(ValueError, match="not 'run'"):
        Verdict.from_text(json.dumps(data))


# Declarations


def test_a_tool_that_declares_nothing_is_reviewed() -> None:
    assert declaration_of(SimpleNamespace()) is UNDECLARED
    assert UNDECLARED.review == Terms()


@pytest.mark.parametrize("metadata", [None, {}, {"agentsite": None}, {"agentsite": {"review": None}}, {"other": 1}])
def test_metadata_of_another_kind_does_not_make_a_tool_free(metadata: Any) -> None:
    assert declaration_of(SimpleNamespace(metadata=metadata)) is UNDECLARED


def test_a_declaration_stands_beside_what_else_the_tool_says_of_itself() -> None:
    free = Declaration(review=None, idempotent=True)
    tool = declare(free)(SimpleNamespace(metadata={"team": "travel"}))
    assert declaration_of(tool) is free
    assert tool.metadata["team"] == "travel"


def test_of_two_declarations_the_outer_one_counts() -> None:
    outer, inner = Declaration(review=HIGH), Declaration(review=None)
    assert declaration_of(declare(outer)(declare(inner)(SimpleNamespace(metadata=None)))) is outer


def test_declaring_one_tool_leaves_another_with_the_same_metadata_alone() -> None:
    shared: dict[str, Any] = {"team": "travel"}
    one, other = SimpleNamespace(metadata=shared), SimpleNamespace(metadata=shared)
    declare(Declaration(review=None))(one)
    assert declaration_of(other) is UNDECLARED
