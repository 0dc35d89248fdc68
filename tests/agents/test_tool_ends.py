"""Any way in which a tool may end counts: a reviewed call is in doubt at once, of a free one the model is told."""

from typing import Any

import pytest

from agents.models import ToolCall
from reviews.decisions.services import Choice, decide
from tests.support.helpers import again, answer_of, messages_of, open_review
from tests.support.odd_tools import ENDS
from tests.support.oracle import calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("odd_tools")]


def approve(task: Any, reviewer: Any, work: Any) -> None:
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()


@pytest.mark.parametrize("how", [*ENDS, "ExceptionGroup"])
def test_a_reviewed_tool_that_ends_so_is_in_doubt_at_once(how: str, invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke(f'call pay_and_raise with {{"how": "{how}"}}')
    work()
    approve(task, reviewer, work)
    assert (again(task).status, open_review(task).kind) == ("interrupted", "in_doubt")
    decide(open_review(task).pk, reviewer, Choice("response", "it was paid"))
    work()
    assert "it was paid" in answer_of(task)
    assert calls() == [f"pay_and_raise {how}"]


@pytest.mark.parametrize("how", ENDS)
def test_of_a_free_one_the_model_is_told_and_the_call_beside_it_is_kept(how: str, invoke: Any, work: Any) -> None:
    task = invoke(f'call free_and_raise with {{"how": "{how}"}} and call free_charge with {{"amount": 3}}')
    work()
    told = {m["name"]: m["content"] for m in messages_of(task) if m["type"] == "tool"}
    assert told == {"free_and_raise": f"The tool failed: {how}: after the effect", "free_charge": "charged 3"}
    assert sorted(calls()) == ["free_and_raise " + how, "free_charge 3"]


def test_a_coroutine_that_is_cancelled_is_in_doubt(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call pay_and_be_cancelled with {"amount": 3}')
    work()
    approve(task, reviewer, work)
    assert open_review(task).kind == "in_doubt"


def test_a_validation_error_of_the_body_is_no_error_in_the_arguments(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call pay_then_invalid with {"amount": 3}')
    work()
    approve(task, reviewer, work)
    assert (open_review(task).kind, calls()) == ("in_doubt", ["pay_then_invalid 3"])


def test_a_result_that_says_error_is_recorded_as_failed(invoke: Any, work: Any) -> None:
    task = invoke('call say_it_failed with {"text": "no such order"}')
    work()
    assert "no such order" in answer_of(task)
    assert ToolCall.objects.get().status == "failed"


def test_several_results_at_once_are_kept(invoke: Any, work: Any) -> None:
    task = invoke('call say_several with {"texts": ["one"]}')
    work()
    assert "one" in answer_of(task)
    assert (ToolCall.objects.get().status, calls()) == ("succeeded", ["say_several"])
