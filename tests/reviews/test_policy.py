"""The rules of the admin: which one speaks, when one holds no more, and that nothing that fails lets a call through."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from agents.models import Interrupt, ToolCall
from agents.policy import DAY, REQUESTER, REVIEWERS, Call, Terms, Verdict
from agents.state import tool_calls
from core.errors import Conflict
from reviews.decisions.services import Choice, decide
from reviews.models import AuditEntry, PolicyRule
from reviews.policy import conditions, engine, rules
from tests.support.concurrency import in_threads
from tests.support.helpers import again, messages_of, open_review, resume
from tests.support.oracle import calls

pytestmark = pytest.mark.django_db(transaction=True)

HIGH = Terms(risk="high", deciders=(REQUESTER,), distinct=True, seconds=DAY)


def rule(effect: str, lines: str = "", **more: Any) -> PolicyRule:
    data = [one.data() for one in conditions.read(lines)]
    made: PolicyRule = PolicyRule.objects.create(effect=effect, conditions=data, **{"name": effect, **more})
    return made


def asked(tool: str = "pay", declared: Terms | None = HIGH, user: str = "ann", session: str = "", **args: Any) -> Call:
    return Call(tool, args, user, "default", declared, session)


def action(call: Call) -> str:
    return engine.assess(call).action


def test_without_rules_the_tool_speaks_for_itself() -> None:
    assert engine.assess(asked(declared=None)) == Verdict("allow", "declared free", Terms(), None)
    assert engine.assess(asked()) == Verdict("review", "declared by the tool", HIGH, HIGH)


def test_a_rule_goes_before_the_tool_and_the_verdict_names_it() -> None:
    made = rule("allow", "amount <= 100", name="Small refunds")
    verdict = engine.assess(asked(amount=100))
    assert (verdict.action, verdict.rule, verdict.rule_id) == ("allow", f"#{made.pk}: Small refunds", made.pk)
    assert Verdict.from_text(verdict.to_text()) == verdict


def test_a_rule_gives_its_terms() -> None:
    rule(
        "review",
        risk="low",
        deciders=["group:Finance"],
        distinct=True,
        seconds=60,
        on_expiry="wait",
        allowed=["reject"],
    )
    terms = engine.assess(asked(declared=None)).terms
    assert terms == Terms("low", ("group:Finance",), True, 60, "wait", ("reject",))


def test_the_first_rule_that_matches_counts_and_position_says_which() -> None:
    second, first = rule("review", position=2), rule("allow", position=1)
    assert engine.assess(asked()).rule_id == first.pk
    PolicyRule.objects.filter(pk=first.pk).update(position=3)
    assert engine.assess(asked()).rule_id == second.pk


def test_of_equal_positions_the_older_one_is_first() -> None:
    older = rule("review")
    rule("allow")
    assert engine.assess(asked()).rule_id == older.pk


def test_a_deny_wins_wherever_it_stands() -> None:
    rule("allow", position=1)
    rule("deny", "amount > 1000", position=9, reason="no big payments")
    verdict = engine.assess(asked(amount=1001))
    assert (verdict.action, verdict.reason) == ("deny", "no big payments")
    assert action(asked(amount=1000)) == "allow"


@pytest.mark.parametrize(
    ("field", "pattern", "matches"),
    [
        ("tool", "pay", True),
        ("tool", "p*", True),
        ("tool", "pa", False),
        ("tool", "PAY", False),
        ("user", "ann", True),
        ("user", "[ab]nn", True),
        ("user", "?ann", False),
        ("agent", "default", True),
        ("agent", "d*x", False),
    ],
)
def test_names_are_patterns(field: str, pattern: str, matches: bool) -> None:
    rule("deny", **{field: pattern})
    assert (action(asked()) == "deny") is matches


def test_a_switched_off_rule_says_nothing() -> None:
    rule("allow", enabled=False)
    assert action(asked()) == "review"


@pytest.mark.parametrize(
    ("begins", "ends", "counts"), [(-1, 1, True), (None, 1, True), (-1, None, True), (1, 2, False), (-2, -1, False)]
)
def test_a_rule_has_its_time(begins: int | None, ends: int | None, counts: bool) -> None:
    starts_at, ends_at = (None if h is None else timezone.now() + timedelta(hours=h) for h in (begins, ends))
    rule("allow", starts_at=starts_at, ends_at=ends_at)
    assert (action(asked()) == "allow") is counts


def test_a_new_deny_holds_at_once_and_so_does_its_end() -> None:
    assert action(asked(declared=None)) == "allow"
    made = rule("deny")
    assert action(asked(declared=None)) == "deny"
    PolicyRule.objects.filter(pk=made.pk).update(enabled=False)
    assert action(asked(declared=None)) == "allow"


def test_the_rules_cost_one_query(django_assert_num_queries: Any) -> None:
    for number in range(5):
        rule("review", f"amount > {number}")
    with django_assert_num_queries(1):
        engine.assess(asked(amount=0))


# What can't be judged.


@pytest.mark.parametrize("args", [{}, {"amount": "5"}, {"amount": None}, {"amount": [5]}])
def test_what_can_not_be_judged_is_never_allowed_by_a_rule(args: dict[str, Any]) -> None:
    rule("allow", "amount < 100")
    assert action(asked(**args)) == "review"


@pytest.mark.parametrize("args", [{}, {"amount": "5000"}, {"amount": None}])
def test_what_can_not_be_judged_is_denied_by_a_deny(args: dict[str, Any]) -> None:
    rule("deny", "amount > 1000")
    assert action(asked(declared=None, **args)) == "deny"


def test_what_can_not_be_judged_by_a_review_rule_goes_to_reviewers_on_the_stricter_terms() -> None:
    rule("review", "amount < 10", risk="low", deciders=[REQUESTER])
    verdict = engine.assess(asked(amount="5"))
    assert verdict.terms == Terms("high", (REVIEWERS,), distinct=True)
    assert "unclear" in verdict.rule


def test_an_allow_speaks_of_every_item_and_a_deny_of_some() -> None:
    made = rule("allow", "to[] ends with @example.com")
    mixed = asked(to=["a@example.com", "b@evil.com"])
    assert (action(asked(to=["a@example.com"])), action(mixed)) == ("allow", "review")
    PolicyRule.objects.filter(pk=made.pk).update(effect="deny")
    assert action(mixed) == "deny"


BROKEN: Any = [{"argument": "amount", "is": "eval", "value": "1"}]


def break_(made: PolicyRule) -> None:
    PolicyRule.objects.filter(pk=made.pk).update(conditions=BROKEN)


@pytest.mark.parametrize("effect", ["allow", "deny", "review"])
def test_a_broken_rule_sends_the_call_to_reviewers(effect: str) -> None:
    break_(rule(effect))
    rule("allow")
    assert engine.assess(asked(declared=None)).terms.deciders == (REVIEWERS,)
    assert action(asked(declared=None)) == "review"


def test_a_broken_rule_does_not_open_what_another_denies() -> None:
    break_(rule("deny"))
    rule("deny")
    assert action(asked()) == "deny"


def test_a_broken_rule_for_other_tools_hurts_nobody() -> None:
    break_(rule("deny", tool="other"))
    assert action(asked(declared=None)) == "allow"


def test_terms_that_are_broken_send_the_call_to_reviewers_on_no_weaker_terms() -> None:
    rule("review", deciders=5)
    verdict = engine.assess(asked())
    assert (verdict.rule, verdict.terms.distinct, verdict.terms.risk) == (engine.FAILED, True, "high")
    assert verdict.terms.deciders == (REVIEWERS,)


def test_a_deny_can_not_be_used_up() -> None:
    with pytest.raises(IntegrityError):
        rule("deny", use_limit=1)


# In a run.


@pytest.fixture
def charging(invoke: Any, work: Any, oracle: None) -> Any:
    """Submit a charge (which is reviewed) and work."""

    def charge(amount: float, **more: Any) -> Any:
        task = invoke(f'call charge with {{"amount": {amount}}}', **more)
        work()
        return again(task)

    return charge


def test_an_allow_lets_its_calls_through_until_it_is_used_up(charging: Any) -> None:
    made = rule("allow", "amount < 100", tool="charge", use_limit=2)
    statuses = [charging(amount, session=f"s{amount}").status for amount in (500, 1, 2, 3)]
    assert statuses == ["interrupted", "completed", "completed", "interrupted"]
    assert (calls(), PolicyRule.objects.get(pk=made.pk).uses) == (["charge 1", "charge 2"], 2)


def test_a_use_is_taken_once_by_many_that_want_it(charging: Any) -> None:
    made = rule("allow", use_limit=3)
    charging(1)
    row = ToolCall.objects.get()
    assert sorted(in_threads(8, lambda _: rules.admit(row, made.pk))) == [False] * 6 + [True] * 2
    assert PolicyRule.objects.get(pk=made.pk).uses == 3


@pytest.mark.parametrize("change", [{"enabled": False}, {"uses": 1}, {"ends_at": "2020-01-01T00:00:00Z"}])
def test_a_rule_that_lapses_between_the_verdict_and_the_call_lets_nothing_through(
    charging: Any, monkeypatch: Any, change: dict[str, Any]
) -> None:
    rule("allow", use_limit=1)
    enter = tool_calls.enter

    def late(*args: Any) -> Any:
        PolicyRule.objects.update(**change)
        return enter(*args)

    monkeypatch.setattr(tool_calls, "enter", late)
    assert charging(5).status == "interrupted"
    assert (calls(), ToolCall.objects.count()) == ([], 0)


def test_a_policy_that_insists_on_a_lapsed_rule_gets_a_review(charging: Any, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": f"{__name__}.insisting"}}
    task = charging(5)
    assert (calls(), open_review(task).tool) == ([], "charge")


def insisting(call: Call) -> Verdict:
    return Verdict("allow", "always", Terms(), call.declared, rule_id=0)


def test_a_denied_call_does_not_run_and_the_model_is_told(charging: Any) -> None:
    rule("deny", "amount > 10", reason="too much")
    task = charging(11)
    told = next(m["content"] for m in messages_of(task) if m["type"] == "tool")
    assert (told, calls()) == ("This call is denied by policy: too much", [])


@pytest.mark.parametrize("when", ["before the approval", "after the approval"])
def test_a_deny_that_came_meanwhile_stops_an_approved_call(charging: Any, reviewer: Any, work: Any, when: str) -> None:
    task = charging(5)
    review = open_review(task)
    if when == "before the approval":
        made = rule("deny", reason="not today")
    decide(review.pk, reviewer, Choice("accept"))
    if when == "after the approval":
        made = rule("deny", reason="not today")
    work()
    told = next(m["content"] for m in messages_of(task) if m["type"] == "tool")
    assert (told, calls(), ToolCall.objects.count()) == ("This call is denied by policy: not today", [], 0)
    assert AuditEntry.objects.filter(verb="denied", rule=made.pk, task=task.pk).count() == 1
    assert Verdict.from_text(review.verdict_text).rule_id is None


def test_a_deny_that_came_meanwhile_stops_an_edited_call(charging: Any, reviewer: Any, work: Any) -> None:
    task = charging(5)
    decide(open_review(task).pk, reviewer, Choice("edit", {"amount": 6}))
    rule("deny", "amount > 5")
    work()
    assert calls() == []


def test_a_deny_that_came_meanwhile_stops_a_call_that_is_to_run_again(
    oracle: None, invoke: Any, work: Any, reviewer: Any, crash: Any
) -> None:
    task = invoke('call charge_and_crash with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    crash()
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    rule("deny", tool="charge_and_crash", reason="not today")
    work()
    assert calls() == ["charge_and_crash 3"]
    assert "not known whether it has happened before" in messages_of(task)[2]["content"]


def test_an_allow_that_went_away_does_not_undo_an_approval(charging: Any, reviewer: Any, work: Any) -> None:
    allowing = rule("allow", "amount < 3")
    task = charging(5)
    decide(open_review(task).pk, reviewer, Choice("edit", {"amount": 2}))
    PolicyRule.objects.filter(pk=allowing.pk).delete()
    work()
    assert calls() == ["charge 2"]


def test_an_edit_is_judged_by_the_rules_and_uses_none_up(charging: Any, reviewer: Any, work: Any, api: Any) -> None:
    rule("deny", "amount > 1000")
    allowing = rule("allow", "amount < 10", use_limit=1)
    task = charging(500)
    review = open_review(task)
    assert resume(api, task, "edit", args={"amount": 2000}).status_code in (400, 403)
    decide(review.pk, reviewer, Choice("edit", {"amount": 5}))
    work()
    assert (calls(), PolicyRule.objects.get(pk=allowing.pk).uses) == (["charge 5"], 0)


def test_a_rule_of_a_session_holds_in_it_alone(charging: Any) -> None:
    session = charging(1, session="here").session
    Interrupt.objects.all().delete()
    rule("allow", session=session)
    assert action(asked(session=str(session.pk))) == "allow"
    assert (action(asked(session="")), charging(2, session="there").status) == ("review", "interrupted")


def test_a_rule_of_a_session_goes_with_it(charging: Any, api: Any) -> None:
    rule("allow", session=charging(1, session="here").session)
    assert api.delete("/agent/session/ann/here").status_code == 200
    assert not PolicyRule.objects.exists()


def test_a_tool_that_is_free_can_be_put_under_review(invoke: Any, work: Any) -> None:
    rule("review", tool="multiply", deciders=[REQUESTER, REVIEWERS])
    task = invoke("multiply 6 by 7")
    work()
    assert open_review(task).tool == "multiply"


def test_a_policy_that_changes_releases_and_drops_no_pending_call(invoke: Any, work: Any, reviewer: User) -> None:
    tasks = [invoke("book the Ritz for 2 nights", session=name) for name in ("approved", "rejected", "left")]
    work()
    PolicyRule.objects.create(name="free", tool="book_hotel", effect="allow")
    work()
    assert {again(task).status for task in tasks} == {"interrupted"}
    PolicyRule.objects.all().delete()
    decide(open_review(tasks[0]).pk, reviewer, Choice("accept"))
    decide(open_review(tasks[1]).pk, reviewer, Choice("reject", message="no"))
    work()
    assert [again(task).status for task in tasks] == ["completed", "completed", "interrupted"]
    assert [call.task_id for call in ToolCall.objects.all()] == [tasks[0].pk]


def failing(call: Call) -> Verdict:
    raise RuntimeError("no answer")


def misspelled(call: Call) -> Verdict:
    return Verdict("Deny", "a slip of the pen")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [f"{__name__}.failing", f"{__name__}.misspelled", "gone"])
def test_an_edit_that_the_policy_can_not_judge_is_a_conflict_and_decides_nothing(
    booking: Interrupt, reviewer: User, settings: Any, path: str
) -> None:
    own = settings.AGENTS["default"]
    settings.AGENTS = {"other": own} if path == "gone" else {"default": {**own, "POLICY": path}}
    with pytest.raises(Conflict, match="can't evaluate changed arguments"):
        decide(booking.pk, reviewer, Choice("edit", args={"hotel_name": "Savoy", "nights": 1}))
    booking.refresh_from_db()
    assert (booking.status, booking.version) == ("pending", 1)
    settings.AGENTS = {"default": own}
    assert decide(booking.pk, reviewer, Choice("accept")).status == "approved"
