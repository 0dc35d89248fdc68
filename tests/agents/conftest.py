"""An agent whose model answers oddly, and a way to ask it."""

from collections.abc import Callable
from typing import Any

import pytest

from agents.models import Task
from agents.runtime import registry
from tests.support.helpers import again


@pytest.fixture
def use_model(settings: Any, oracle: None) -> Callable[[str], None]:
    """Let the agent use the model of this name, at first the ordinary one. It has the oracle's and the wide tools."""
    config = settings.AGENTS["default"]
    settings.AGENTS = {"default": {**config, "TOOLS": [*config["TOOLS"], "tests.support.wide_tools"]}}

    def use(name: str) -> None:
        settings.AGENTS["default"]["MODEL"] = f"openai:{name}"
        registry.agent.cache_clear()
        registry.graph.cache_clear()

    use("demo")
    return use


@pytest.fixture
def asked(invoke: Any, work: Any, model_server: Any) -> Callable[..., Task]:
    """Submit a question, work, and return the task. The model's server remembers only the requests since then."""

    def ask(query: str, **more: Any) -> Task:
        model_server.received.clear()
        task = invoke(query, **more)
        work()
        return again(task)

    return ask
