"""What becomes of a tool call: the tables of docs/explanation/execution.md, and what must hold of any state."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest

from agents.runtime.gate.decision import (
    Action,
    Known,
    LedgerState,
    OutcomeState,
    ReviewState,
    Step,
    after_policy,
    next_step,
)

ROOT = Path(__file__).parent.parent.parent
JUDGED = (Step.JUDGE_NEW, Step.JUDGE_AGREED, Step.JUDGE_AGAIN)
RUNS = (Step.RUN, Step.RUN_AGAIN)
ACTIONS: tuple[Action, ...] = get_args(Action)
STATES = [Known(*values) for values in product(LedgerState, (False, True), OutcomeState, ReviewState)]
JUDGEMENTS = list(product(JUDGED, ACTIONS, (False, True), (False, True)))

BEFORE = [  # what is known, what is done
    (Known(), Step.JUDGE_NEW),
    (Known(review=ReviewState.OPEN), Step.WAIT),
    (Known(review=ReviewState.AGREED), Step.JUDGE_AGREED),
    (Known(review=ReviewState.REFUSED), Step.REPLY),
    (Known(LedgerState.CLOSED), Step.REPLAY),
    (Known(LedgerState.STARTED, repeatable=True), Step.JUDGE_AGAIN),
    (Known(LedgerState.STARTED), Step.ASK_OUTCOME),
    (Known(LedgerState.STARTED, outcome=OutcomeState.OPEN), Step.WAIT),
    (Known(LedgerState.STARTED, outcome=OutcomeState.OUTDATED), Step.ASK_OUTCOME),
    (Known(LedgerState.STARTED, outcome=OutcomeState.AGAIN), Step.JUDGE_AGAIN),
    (Known(LedgerState.STARTED, outcome=OutcomeState.SAID), Step.CLOSE),
    (Known(LedgerState.STARTED, outcome=OutcomeState.ENDED), Step.REPLAY),
]
AFTER: list[tuple[Step, Action, bool, bool, Step]] = [  # asked about, answer, it holds, may be asked, what is done
    (Step.JUDGE_NEW, "allow", True, True, Step.RUN),
    (Step.JUDGE_NEW, "review", True, True, Step.ASK),
    (Step.JUDGE_NEW, "deny", True, True, Step.DENY),
    (Step.JUDGE_AGREED, "allow", True, True, Step.RUN),
    (Step.JUDGE_AGREED, "review", True, True, Step.RUN),
    (Step.JUDGE_AGREED, "allow", False, True, Step.ASK_ANEW),
    (Step.JUDGE_AGREED, "review", False, True, Step.ASK_ANEW),
    (Step.JUDGE_AGREED, "allow", False, False, Step.GIVE_UP),
    (Step.JUDGE_AGREED, "review", False, False, Step.GIVE_UP),
    (Step.JUDGE_AGREED, "deny", True, True, Step.DENY),
    (Step.JUDGE_AGAIN, "allow", True, True, Step.RUN_AGAIN),
    (Step.JUDGE_AGAIN, "review", True, True, Step.RUN_AGAIN),
    (Step.JUDGE_AGAIN, "deny", True, True, Step.CLOSE_DENIED),
]


@pytest.mark.parametrize(("known", "step"), BEFORE)
def test_before_the_policy(known: Known, step: Step) -> None:
    assert next_step(known) is step


@pytest.mark.parametrize(("asked", "action", "holds", "may_ask", "step"), AFTER)
def test_after_the_policy(asked: Step, action: Action, holds: bool, may_ask: bool, step: Step) -> None:
    assert after_policy(asked, action, holds=holds, may_ask=may_ask) is step


@pytest.mark.parametrize("known", STATES, ids=str)
def test_nothing_runs_before_the_policy_was_asked(known: Known) -> None:
    assert next_step(known) not in RUNS


@pytest.mark.parametrize("known", [known for known in STATES if known.entry is LedgerState.CLOSED], ids=str)
def test_a_closed_call_is_answered_by_its_result_whatever_else_is_known(known: Known) -> None:
    assert next_step(known) is Step.REPLAY


@pytest.mark.parametrize("known", [known for known in STATES if known.entry is LedgerState.STARTED], ids=str)
def test_a_started_call_never_counts_as_new(known: Known) -> None:
    assert next_step(known) in {Step.REPLAY, Step.WAIT, Step.ASK_OUTCOME, Step.CLOSE, Step.JUDGE_AGAIN}
    if next_step(known) is Step.JUDGE_AGAIN:
        assert known.outcome is OutcomeState.AGAIN or (known.outcome is OutcomeState.UNASKED and known.repeatable)


@pytest.mark.parametrize("known", [known for known in STATES if known.entry is LedgerState.NONE], ids=str)
def test_a_call_that_somebody_was_asked_about_is_not_judged_as_a_new_one(known: Known) -> None:
    assert (next_step(known) is Step.JUDGE_NEW) == (known.review is ReviewState.UNASKED)


@pytest.mark.parametrize(("asked", "action", "holds", "may_ask"), JUDGEMENTS)
def test_a_deny_counts_at_any_time_and_only_an_allow_or_a_person_lets_a_new_call_run(
    asked: Step, action: Action, holds: bool, may_ask: bool
) -> None:
    step = after_policy(asked, action, holds=holds, may_ask=may_ask)
    if action == "deny":
        assert step in {Step.DENY, Step.CLOSE_DENIED}
    if step is Step.RUN:
        assert (asked is Step.JUDGE_NEW and action == "allow") or (asked is Step.JUDGE_AGREED and holds)
    if step is Step.RUN_AGAIN:
        assert asked is Step.JUDGE_AGAIN


@pytest.mark.parametrize("action", ["Allow", "", "ask", None])
@pytest.mark.parametrize("asked", JUDGED)
def test_a_policy_that_says_anything_else_lets_nothing_run(asked: Step, action: Any) -> None:
    with pytest.raises(ValueError, match="allow, deny or review"):
        after_policy(asked, action)


@pytest.mark.parametrize("step", [step for step in Step if step not in JUDGED])
def test_only_a_step_that_asks_the_policy_takes_its_answer(step: Step) -> None:
    with pytest.raises(ValueError, match=step.name):
        after_policy(step, "allow")


def table_before() -> Iterator[str]:
    """The first table of the docs."""
    for known, step in BEFORE:
        if known.entry is LedgerState.NONE:
            seen, said = "no", f"whether it may run: {known.review}"
        elif known.entry is LedgerState.CLOSED:
            seen, said = "closed", "–"
        else:
            repeatable = ", and the tool is idempotent" if known.repeatable else ""
            seen, said = "started", f"what became of it: {known.outcome}{repeatable}"
        yield f"| {seen} | {said} | {step} |"


def table_after() -> Iterator[str]:
    """The second one."""
    for asked, action, holds, may_ask, step in AFTER:
        kind = {Step.JUDGE_NEW: "new", Step.JUDGE_AGREED: "agreed", Step.JUDGE_AGAIN: "to run again"}[asked]
        if asked is Step.JUDGE_AGREED and action != "deny":
            kind += ", and the approval holds" if holds else ", and the approval does not hold"
            kind += "" if may_ask else ", for the sixth time"
        yield f"| {kind} | {action} | {step} |"


@pytest.mark.parametrize("rows", [table_before, table_after])
def test_the_docs_have_the_tables(rows: Any) -> None:
    text = (ROOT / "docs" / "explanation" / "execution.md").read_text()
    assert "\n".join(rows()) in text
