"""What runs is what was read, once: schemas that change what they read, or write it otherwise."""

import re
from typing import Any

import pytest

from agents.models import Interrupt
from core.errors import Invalid
from reviews.decisions.services import Choice, decide
from tests.support.helpers import answer_of, open_review
from tests.support.oracle import calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("changing_tools")]

# tool: what the model writes, what the reviewer is shown, what runs
TOLD = {
    "percentage": ('{"rate": 50}', {"rate": 0.5}, "rate=0.5"),
    "cents": ('{"amount": 3}', {"amount": 300}, "amount=300"),
    "prefixed": ('{"to": "7"}', {"to": "acct-7"}, "to=acct-7"),
    "hashed": ('{"pin": "1234"}', {"pin": "03ac6742"}, "pin=03ac6742"),
    "taxed": ('{"net": 100}', {"net": 100.0, "gross": 150.0}, "net=100.0 gross=150.0"),
    "computed": ('{"amount": 4}', {"amount": 4}, "amount=4"),
    "aliased": ('{"amountIn": 4}', {"amountIn": 4}, "amount=4"),
    "renamed": ('{"amountIn": 4}', {"amountIn": 4}, "amount=4"),
    "nested": ('{"address": {"houseNumber": 4}}', {"address": {"houseNumber": 4}}, "address=house=4"),
    "parsed": ('{"items": "[1, 2]"}', {"items": "[1,2]"}, "items=[1, 2]"),
    "tagged": ('{"tags": ["b", "a"], "price": 2}', {"tags": ["a", "b"], "price": "2"}, "tags=['a', 'b'] price=2"),
    "split": ('{"names": "a,b"}', {"names": ["a", "b"]}, "names=['a', 'b']"),
}  # fmt: skip
# tool: what the model writes, what would run; no wire form tells it
HIDDEN = {
    "secret": ('{"password": "hunter2"}', "password=hunter2"),
    "rounded": ('{"amount": 3.14159}', "amount=3.14159"),
    "worded": ('{"amount": 5000}', "amount=5000"),
    "excluded": ('{"to": "bob", "bcc": "mallory"}', "to=bob bcc=mallory"),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_was_shown_and_approved_is_what_runs(name: str, invoke: Any, work: Any, reviewer: Any) -> None:
    written, shown, ran = TOLD[name]
    task = invoke(f"call {name} with {written}")
    work()
    asked = open_review(task)
    assert asked.args == shown
    decide(asked.pk, reviewer, Choice("accept"))
    work()
    answer_of(task)
    assert calls() == [f"{name} {ran}"]
    assert Interrupt.objects.count() == 1


@pytest.mark.parametrize("name", HIDDEN)
def test_what_cannot_be_shown_is_refused_before_anybody_is_asked(name: str, invoke: Any, work: Any) -> None:
    task = invoke(f"call {name} with {HIDDEN[name][0]}")
    work()
    assert f"{name} can't be reviewed" in answer_of(task)
    assert (calls(), Interrupt.objects.count()) == ([], 0)


@pytest.mark.parametrize("name", [*TOLD, *HIDDEN])
def test_a_free_tool_gets_what_its_schema_has_read_once(name: str, invoke: Any, work: Any) -> None:
    written, ran = (TOLD.get(name) or HIDDEN[name])[0], (TOLD.get(name) or HIDDEN[name])[-1]
    task = invoke(f"call free_{name} with {written}")
    work()
    answer_of(task)
    assert calls() == [f"free_{name} {ran}"]


def test_a_default_that_is_new_each_time_is_shown_and_runs(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call numbered with {"text": "x"}')
    work()
    asked = open_review(task)
    ticket = asked.args["ticket"]
    assert re.fullmatch(r"[0-9a-f-]{36}", ticket)
    decide(asked.pk, reviewer, Choice("accept"))
    work()
    assert calls() == [f"numbered text=x ticket={ticket}"]


def test_what_a_schema_changes_again_with_each_reading_can_not_be_edited(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call cents with {"amount": 3}')
    work()
    with pytest.raises(Invalid):
        decide(open_review(task).pk, reviewer, Choice("edit", {"amount": 400}))
    assert open_review(task).status == "pending"


def test_what_reads_the_same_again_can_be_edited(invoke: Any, work: Any, reviewer: Any) -> None:
    task = invoke('call tagged with {"tags": ["b"], "price": "1.50"}')
    work()
    decide(open_review(task).pk, reviewer, Choice("edit", {"tags": ["c"], "price": "2.50"}))
    work()
    assert calls() == ["tagged tags=['c'] price=2.50"]
