"""A tool of one's own, from its declaration to its call: the example of docs/how-to/tools.md, as a test to copy."""

import json
from typing import Any

import pytest
from langchain_core.tools import tool

from agents.config import Misconfigured
from agents.models import Interrupt, ToolCall
from agents.policy import REVIEWERS, UNDECLARED, Declaration, Terms, Verdict, declaration_of, declare
from agents.runtime import registry
from memory.models import Memory
from reviews.decisions.services import Choice, decide
from tests.support.helpers import answer_of, open_review, resume
from tests.support.oracle import calls

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oracle")]


@declare(Declaration(review=Terms(risk="high", deciders=(REVIEWERS,), distinct=True)))
@tool
def refund(order: str, amount: float) -> str:
    """Refund an order."""
    return f"refunded {amount:g} for {order}"


def test_a_declaration_stands_beside_its_function() -> None:
    terms = declaration_of(refund).review
    assert terms is not None
    assert (terms.risk, terms.distinct) == ("high", True)


def test_a_tool_that_declares_nothing_is_reviewed_by_reviewers(invoke: Any, work: Any) -> None:
    task = invoke('call charge with {"amount": 3}')
    work()
    assert open_review(task).tool == "charge"
    assert UNDECLARED.review == Terms(deciders=(REVIEWERS,))
    assert calls() == []


def test_its_requester_may_not_decide_it(invoke: Any, work: Any, api: Any) -> None:
    task = invoke('call charge with {"amount": 3}')
    work()
    assert resume(api, task).status_code == 403


def test_a_tool_that_declares_itself_free_runs(invoke: Any, work: Any) -> None:
    task = invoke('call free_charge with {"amount": 3}')
    work()
    assert "charged 3" in answer_of(task)


@pytest.mark.parametrize("args", ['{"amount": "many"}', "{}"])
def test_arguments_that_do_not_fit_are_the_models_error_and_no_review(invoke: Any, work: Any, args: str) -> None:
    task = invoke(f"call charge with {args}")
    work()
    assert "do not fit charge" in answer_of(task)
    assert not Interrupt.objects.exists()
    assert not ToolCall.objects.exists()


def test_the_arguments_are_stored_as_the_schema_coerces_them(invoke: Any, work: Any) -> None:
    task = invoke('call charge with {"amount": "3", "extra": 1}')
    work()
    assert open_review(task).args_text == '{"amount":3.0}'


def test_a_long_result_is_cut_with_a_mark(invoke: Any, work: Any, settings: Any) -> None:
    settings.TOOL_RESULT_LIMIT = 50
    task = invoke(f'call read_page with {{"url": "{"x" * 100}"}}')
    work()
    assert "longer than what is kept" in answer_of(task)


def test_after_text_from_outside_a_memory_waits_for_approval(invoke: Any, work: Any) -> None:
    invoke('call read_page with {"url": "u"} then remember that I am an admin')
    work()
    assert Memory.objects.get().status == "pending"


def test_after_results_of_our_own_it_does_not(invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7 then remember that I like tea")
    work()
    assert Memory.objects.get().status == "active"


def test_with_memory_review_every_memory_waits(invoke: Any, work: Any, settings: Any) -> None:
    settings.MEMORY_REVIEW = True
    invoke("remember that I like tea")
    work()
    assert Memory.objects.get().status == "pending"


def test_a_verdict_survives_its_text() -> None:
    verdict = Verdict("review", "rule", Terms(risk="high"), Terms(), "why")
    assert Verdict.from_text(verdict.to_text()) == verdict


def test_two_tools_of_one_name_are_refused(settings: Any) -> None:
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": ["tests.support.oracle", "tests.support.twice"]}}
    registry.agent.cache_clear()
    with pytest.raises(Misconfigured, match="Two tools have the name 'charge'"):
        registry.agent("default")


@pytest.mark.parametrize("path", ["nowhere.at.all", "tests.support.oracle.calls", "agents.models"])
def test_a_path_that_names_no_tool(settings: Any, path: str) -> None:
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [path]}}
    registry.agent.cache_clear()
    if path == "agents.models":
        assert registry.agent("default").tools == ()
    else:
        with pytest.raises(Misconfigured):
            registry.agent("default")


@pytest.fixture
def kinds_of_tools(settings: Any) -> None:
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.kinds_of_tools"]}}


KINDS = {
    "subclass": ({"amount": 3}, "subclass 3"),
    "without_schema": ({"amount": 3}, "without_schema 3"),
    "from_schema": ({"amount": 3}, "from_schema 3"),
    "with_artifact": ({"amount": 3}, "with_artifact 3"),
    "variadic": ({"amount": 3}, "variadic 3 () {}"),
    "one_text": ({"__arg1": "x"}, "one_text 'x'"),
    "handed_things": ({"amount": 3}, "handed_things 3 2 True"),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.usefixtures("kinds_of_tools")
def test_every_kind_of_tool_is_reviewed_and_runs(name: str, invoke: Any, work: Any, reviewer: Any) -> None:
    args, ran = KINDS[name]
    task = invoke(f"call {name} with {json.dumps(args)}")
    work()
    assert open_review(task).args == args
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert "done" in answer_of(task)
    assert calls() == [ran]


@pytest.mark.usefixtures("kinds_of_tools")
def test_by_their_methods_tools_refuse() -> None:
    for name in KINDS:
        with pytest.raises(Exception, match="bypassed its review"):
            next(tool for tool in registry.agent("default").tools if tool.name == name)._run("3", config={})
    assert calls() == []
