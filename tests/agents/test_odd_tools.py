"""Tools that do what tools may do: the ledger keeps what came of each, and what runs is what was agreed to."""

from typing import Any

import pytest

from agents.models import Interrupt, ToolCall
from agents.policy import REQUESTER, REVIEWERS, Terms, Verdict
from agents.state import tool_calls
from core.errors import Invalid, NotAllowed
from reviews.decisions.services import Choice, decide
from tests.support.concurrency import lapse_all
from tests.support.helpers import answer_of, messages_of, open_review, resume
from tests.support.oracle import Crash, calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("odd_tools")]


def approve(task: Any, reviewer: Any, work: Any) -> None:
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()


def tool_text(task: Any) -> str:
    return str(next(m["content"] for m in messages_of(task) if m["type"] == "tool"))


def test_a_tool_that_knows_only_async_runs(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call charge_async with {"amount": 3}')
    work()
    approve(task, reviewer, work)
    assert calls() == ["charge_async 3"]
    assert "charged 3" in answer_of(task)


def test_a_result_that_is_no_json_is_kept_as_far_as_it_goes(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call pay_oddly with {"amount": 3}')
    work()
    approve(task, reviewer, work)
    assert ToolCall.objects.get().status == ToolCall.Status.SUCCEEDED
    assert "2026-01-01" in tool_text(task)


def test_a_long_text_is_measured_in_bytes_and_not_marked_as_cut(invoke: Any, work: Any) -> None:
    task = invoke('call chinese with {"count": 80000}')
    work()
    assert tool_text(task) == "中" * 80_000


def test_what_is_longer_is_cut_with_a_mark(invoke: Any, work: Any) -> None:
    task = invoke('call chinese with {"count": 100000}')
    work()
    assert tool_text(task).endswith("longer than what is kept]")
    assert len(tool_text(task).encode()) < 256 * 1024 + 100


def test_a_command_survives_the_worker(invoke: Any, work: Any, published: Any, monkeypatch: Any) -> None:
    task = invoke('call command with {"text": "the balance is 42"}')
    close = tool_calls.close

    def close_and_crash(*args: Any) -> None:
        close(*args)
        monkeypatch.setattr(tool_calls, "close", close)
        raise Crash

    monkeypatch.setattr(tool_calls, "close", close_and_crash)
    with pytest.raises(Crash):
        work()
    lapse_all()
    published.append(task.pk)
    work()
    assert tool_text(task) == "the balance is 42"
    assert calls() == ["command the balance is 42"]


def test_a_call_with_nan_is_the_models_error(invoke: Any, work: Any) -> None:
    task = invoke('call charge with {"amount": NaN}')
    work()
    assert "not valid JSON" in tool_text(task)
    assert calls() == []
    answer_of(task)


# An edit: the policy judges, and the person agrees to, what the tool makes of it.


def strict(call: Any) -> Verdict:
    """No payment above 1000, none to mallory."""
    if call.tool == "pay" and (call.args["to"] == "mallory" or call.args["amount"] > 1000):
        return Verdict("deny", "limits", reason="no big payments, none to mallory")
    return Verdict("review", "limits", call.declared or Terms(), call.declared)


@pytest.fixture
def paying(invoke: Any, work: Any, settings: Any) -> Any:
    """A task that waits for the approval of a payment of 10 to bob, under `strict`."""
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": "tests.agents.test_odd_tools.strict"}}
    task = invoke('call pay with {"to": "bob", "amount": 10}')
    work()
    return task


def test_an_edit_is_judged_with_its_defaults(paying: Any, api: Any, work: Any) -> None:
    response = resume(api, paying, "edit", args={"to": "bob"})
    assert (response.status_code, calls()) == (400, [])
    assert "no big payments" in response.json()["errors"]["args"][0]


def test_an_edit_that_the_tool_takes_for_a_denied_call_does_not_run(paying: Any, api: Any, work: Any) -> None:
    assert resume(api, paying, "edit", args={"to": " Mallory", "amount": 1}).status_code == 202
    work()
    assert "denied by policy" in tool_text(paying)
    assert calls() == []


def test_an_edit_that_the_tool_takes_for_another_call_is_asked_again(paying: Any, api: Any, work: Any) -> None:
    resume(api, paying, "edit", args={"to": " Carol", "amount": 1})
    work()
    asked = open_review(paying)
    assert (asked.round, asked.args, calls()) == (1, {"to": "carol", "amount": 1.0}, [])
    resume(api, paying, interrupt_id=str(asked.pk))
    work()
    assert calls() == ["pay carol 1"]
    assert "A person changed the arguments" in tool_text(paying)


def test_a_whole_number_is_the_number_that_it_stands_for(paying: Any, api: Any, work: Any) -> None:
    resume(api, paying, "edit", args={"amount": 20, "to": "bob"})
    work()
    assert calls() == ["pay bob 20"]


def test_what_was_asked_in_another_order_is_no_change(paying: Any, api: Any) -> None:
    resume(api, paying, "edit", args={"amount": 10, "to": "bob"})
    assert Interrupt.objects.get().status == "approved"


def test_arguments_that_change_with_each_reading_are_read_once(invoke: Any, work: Any, api: Any) -> None:
    task = invoke('call shout with {"text": "hey"}')
    work()
    asked = open_review(task)
    assert asked.args == {"text": "hey!"}
    resume(api, task, interrupt_id=str(asked.pk))
    work()
    assert calls() == ["shout hey!"]


def test_a_tool_without_arguments_takes_none(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke("call press with {}")
    work()
    with pytest.raises(Invalid):
        decide(open_review(task).pk, reviewer, Choice("edit", {"evil": 1}))
    assert open_review(task).status == "pending"


def tiers(call: Any) -> Verdict:
    """Small amounts are for the requester, large ones for somebody else."""
    small = call.args.get("amount", 0) <= 100
    terms = Terms(deciders=(REQUESTER, REVIEWERS)) if small else Terms(risk="high", distinct=True)
    return Verdict("review", "tiers", terms, call.declared)


@pytest.fixture
def doubtful(invoke: Any, work: Any, settings: Any, reviewer: Any, ann: Any, crash: Any) -> Any:
    """A small charge that a reviewer made a large one, and whose worker died in it."""
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": "tests.agents.test_odd_tools.tiers"}}
    task = invoke('call charge_and_crash with {"amount": 3}')
    work()
    with pytest.raises(NotAllowed):
        decide(open_review(task).pk, ann, Choice("edit", {"amount": 5000}))
    decide(open_review(task).pk, reviewer, Choice("edit", {"amount": 5000}))
    crash()
    work()
    return task


def test_a_doubt_after_an_edit_is_decided_on_the_edits_terms(doubtful: Any, ann: Any) -> None:
    asked = open_review(doubtful)
    assert (asked.kind, asked.risk) == ("in_doubt", "high")
    with pytest.raises(NotAllowed):
        decide(asked.pk, ann, Choice("accept"))


def test_an_edit_of_a_doubt_is_no_word_to_run_it_again(doubtful: Any, reviewer: Any, work: Any) -> None:
    with pytest.raises(Invalid):
        decide(open_review(doubtful).pk, reviewer, Choice("edit", {"amount": 5000}))
    work()
    assert calls() == ["charge_and_crash 5000"]
