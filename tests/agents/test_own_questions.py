"""Questions that a tool or a graph asks itself, beside those of the gate: each answer reaches its own question."""

from typing import Any

import pytest

from agents.models import Interrupt, ToolCall
from reviews import pauses
from reviews.decisions.services import Choice, decide, expire
from tests.support.accounts import client_of
from tests.support.helpers import again, answer_of, open_review, resume, status_of
from tests.support.oracle import calls, keys

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("odd_tools")]


@pytest.fixture
def decide_open(reviewer: Any, work: Any) -> Any:
    """Decide the open review (of this tool) as a reviewer and let the run go on."""

    def one(task: Any, choice: Choice, tool: str = "") -> None:
        decide(open_review(task, tool).pk, reviewer, choice)
        work()

    return one


APPROVE = Choice("accept")


def answer(text: str) -> Choice:
    return Choice("response", text)


def test_an_approval_answers_no_question_of_the_tools_own(invoke: Any, work: Any, decide_open: Any) -> None:
    task = invoke('call careful with {"amount": 3}')
    work()
    decide_open(task, APPROVE)
    assert open_review(task).kind == "question"
    assert calls() == []


def test_the_answer_reaches_the_tool(invoke: Any, work: Any, decide_open: Any) -> None:
    task = invoke('call careful with {"amount": 3}')
    work()
    decide_open(task, APPROVE)
    decide_open(task, answer("go on"))
    assert calls() == ["careful 3 go on"]
    assert "done: go on" in answer_of(task)


def test_the_answer_reaches_the_tool_also_after_pauses(invoke: Any, work: Any, decide_open: Any) -> None:
    who = pauses.Actor("rita")
    task = invoke('call careful with {"amount": 3}')
    work()
    decide_open(task, APPROVE)
    tool, everything = (pauses.pause(*what, "x", who)[0] for what in (("tool", "careful"), ("everything", "")))
    decide_open(task, answer("go on"))
    pauses.resume(everything.pk, who)
    work()
    assert (again(task).status, again(task).held_tool, calls()) == ("pending", "careful", [])
    pauses.resume(tool.pk, who)
    work()
    assert calls() == ["careful 3 go on"]
    assert "done: go on" in answer_of(task)
    assert Interrupt.objects.count() == 2


def test_two_questions_get_their_own_answers(invoke: Any, work: Any, decide_open: Any) -> None:
    task = invoke('call ask_twice with {"where": "Italy"}')
    work()
    decide_open(task, answer("Rome"))
    decide_open(task, answer("yes"))
    assert calls() == ["ask_twice Rome yes"]


def test_parallel_tools_questions_get_their_own_answers(
    invoke: Any, work: Any, reviewer: Any, decide_open: Any
) -> None:
    task = invoke('call careful with {"amount": 1} and call careful with {"amount": 2}')
    work()
    first, second = Interrupt.objects.order_by("args_text")
    for row, text in ((second, "two"), (first, "one")):
        decide(row.pk, reviewer, APPROVE)
        work()
        decide(Interrupt.objects.get(status="pending", kind="question").pk, reviewer, answer(text))
        work()
    assert sorted(calls()) == ["careful 1 one", "careful 2 two"]
    answer_of(task)


def test_after_a_crash_an_answer_is_not_taken_for_the_next_question(
    invoke: Any, work: Any, crash: Any, decide_open: Any, reviewer: Any
) -> None:
    task = invoke('call careful_and_crash with {"amount": 3}')
    work()
    decide_open(task, APPROVE)
    decide(open_review(task).pk, reviewer, answer("first"))
    crash()
    work()
    assert open_review(task).kind == "in_doubt"
    decide_open(task, APPROVE)
    assert calls() == ["careful_and_crash first"] * 2
    answer_of(task)


def test_a_payload_that_is_no_json_is_a_question_all_the_same(
    invoke: Any, work: Any, decide_open: Any, api: Any
) -> None:
    task = invoke('call ask_twice with {"where": "Italy"}')
    work()
    decide_open(task, answer("Rome"))
    assert open_review(task).args == {"sure": "nan", "text": "a\N{REPLACEMENT CHARACTER}b"}
    assert status_of(api, task)["status"] == "interrupted"


def test_the_requester_answers_what_the_graph_asks(invoke: Any, work: Any, ann: Any) -> None:
    task = invoke('call ask_twice with {"where": "Italy"}')
    work()
    assert status_of(client_of(ann), task)["last_response"]["interrupt_data"]["config"]["allow_respond"]
    assert resume(client_of(ann), task, "response", args="Rome").status_code == 202


@pytest.mark.parametrize("choice", [APPROVE, Choice("edit", {}), Choice("reject", message="no")])
def test_it_takes_only_an_answer(invoke: Any, work: Any, reviewer: Any, choice: Choice) -> None:
    task = invoke('call ask_twice with {"where": "Italy"}')
    work()
    with pytest.raises(Exception, match="not valid"):
        decide(open_review(task).pk, reviewer, choice)
    assert open_review(task).kind == "question"


def test_a_question_that_nobody_answers_is_not_answered_by_the_clock(invoke: Any, work: Any) -> None:
    task = invoke('call ask_twice with {"where": "Italy"}')
    work()
    Interrupt.objects.update(expires_at="2020-01-01T00:00:00Z")
    assert expire() == 0
    assert open_review(task).kind == "question"


def test_a_call_that_asks_again_has_the_same_idempotency_key(invoke: Any, work: Any, decide_open: Any) -> None:
    task = invoke('call act_then_ask with {"what": "x"}')
    work()
    assert not ToolCall.objects.exists(), "it has not run, as far as it has said"
    decide_open(task, answer("yes"))
    assert len(keys()) == 2
    assert len(set(keys())) == 1


def test_a_stale_approval_is_asked_again_before_the_tools_own_question(
    invoke: Any, work: Any, reviewer: Any, decide_open: Any
) -> None:
    task = invoke('call careful with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, APPROVE)
    Interrupt.objects.update(answered_at="2020-01-01T00:00:00Z")
    work()
    assert (open_review(task).kind, open_review(task).round) == ("tool_call", 1)
    decide_open(task, APPROVE)
    decide_open(task, answer("go on"))
    assert calls() == ["careful 3 go on"]


def test_asked_too_often_it_is_an_error(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call charge with {"amount": 3}')
    work()
    for _ in range(6):
        decide(open_review(task).pk, reviewer, APPROVE)
        Interrupt.objects.update(answered_at="2020-01-01T00:00:00Z")
        work()
    assert "reviewed too often" in again(task).message
    assert calls() == []
