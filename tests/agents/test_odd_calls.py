"""One malformed call is that call's error; whatever was read can be stored."""

from typing import Any

import pytest

from agents.models import ToolCall
from demo.model_server.oddities import CALLED
from tests.agents.test_odd_answers import CUT, Use
from tests.support.helpers import answer_of, messages_of
from tests.support.oracle import calls
from tests.support.wide_tools import ODD_RESULTS

pytestmark = pytest.mark.django_db(transaction=True)

BOTH = "multiply 6 by 7 and multiply 2 by 3"
REASONS = {
    "args-text": "a text",
    "args-list": "a list",
    "args-no-list": "a list",
    "args-number": "a number",
    "args-zero": "a number",
    "args-true": "true",
    "args-false": "false",
    "args-null": "no arguments",
    "args-none": "no arguments",
    "args-missing": "no arguments",
    "args-empty": "no arguments",
    "args-blank": "no arguments",
    "args-object": "not as an object",
    "args-array": "not as an array",
    "args-int": "not as a number",
    "args-broken": "not valid JSON",
    "args-twice": "not valid JSON",
    "args-nan": "NaN",
    "args-big": "64 bits",
    "args-negative": "64 bits",
    "args-infinite": "too large",
    "args-endless": "64 bits",
    "args-object-big": "not as an object",
    "args-object-infinite": "not as an object",
    "args-object-endless": "not as an object",
    "args-deep": "levels deep",
    "args-deeper": "levels deep",
    "args-object-deep": "not as an object",
    "id-number": "ID",
    "id-object": "ID",
    "type-custom": "'custom'",
    "type-number": "type",
    "type-object": "type",
    "no-function": "doesn't name a function",
    "function-text": "doesn't name a function",
    "name-missing": "doesn't name a function",
    "name-empty": "doesn't name a function",
    "name-null": "doesn't name a function",
    "name-number": "doesn't name a function",
    "name-sentence": "no tool",
    "call-text": "not an object",
    "call-null": "not an object",
}


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_a_malformed_call_is_told_and_the_call_beside_it_runs(
    use_model: Use, asked: Any, name: str, reason: str
) -> None:
    use_model(f"odd-{name}")
    task = asked(BOTH)
    first, second = [message["content"] for message in messages_of(task) if message["type"] == "tool"]
    assert reason in first
    assert (second, ToolCall.objects.count()) == ("6", 1)


def test_calls_that_are_no_list_are_told(use_model: Use, asked: Any) -> None:
    use_model("odd-calls-object")
    assert "not a list" in answer_of(asked(BOTH))


@pytest.mark.parametrize("factory", ["plain", "derived"])
def test_it_is_the_same_for_a_model_that_a_function_makes(
    use_model: Use, asked: Any, settings: Any, factory: str
) -> None:
    use_model("demo")
    settings.AGENTS["default"]["MODEL"] = f"tests.support.models_of_their_own.{factory}"
    first, second = [one["content"] for one in messages_of(asked(BOTH)) if one["type"] == "tool"]
    assert "a list" in first
    assert second == "6"


def test_every_malformed_call_is_tried_here() -> None:
    assert set(CALLED) - set(CUT) - set(REASONS) == {"calls-object"}


@pytest.mark.parametrize("name", ["args-empty", "args-null", "args-none", "args-missing"])
def test_a_tool_with_defaults_does_not_run_without_any_arguments(use_model: Use, asked: Any, name: str) -> None:
    use_model(f"odd-{name}")
    asked('call wipe with {"what": "tmp"}')
    assert calls() == []


def test_a_tool_that_takes_nothing_does(use_model: Use, asked: Any) -> None:
    use_model("odd-args-empty")
    assert "tock" in answer_of(asked("call tick with {}"))
    assert calls() == ["tick"]


@pytest.mark.parametrize("kind", ODD_RESULTS)
def test_a_result_that_is_hard_to_store_reaches_the_model(use_model: Use, asked: Any, kind: str) -> None:
    use_model("demo")
    task = asked(f'call report with {{"kind": "{kind}"}}')
    assert "report: " in answer_of(task)
    assert calls() == [f"report {kind}"]
