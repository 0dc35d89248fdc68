"""A policy that fails lets nothing through."""

from typing import Any, NoReturn

import pytest

from agents.models import ToolCall
from agents.policy import Call
from agents.runtime import registry
from tests.support.helpers import again

pytestmark = pytest.mark.django_db(transaction=True)


def failing(call: Call) -> NoReturn:
    raise RuntimeError(call.tool)


def test_the_task_stops_and_the_call_has_not_run(invoke: Any, work: Any, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": f"{__name__}.failing"}}
    registry.agent.cache_clear()
    registry.graph.cache_clear()
    task = invoke("multiply 6 by 7")
    work()
    assert again(task).status == "error"
    assert not ToolCall.objects.exists()
