"""Agents whose model answers oddly, and ways to ask them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents.models import Task
from agents.runtime import registry
from agents.runtime.endpoints import calls
from tests.support.endpoint import Endpoint, Reply
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


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Endpoint]]:
    opened: list[Endpoint] = []

    def start(*replies: Reply) -> Endpoint:
        opened.append(Endpoint(*replies).__enter__())
        return opened[-1]

    yield start
    for one in opened:
        one.__exit__()


@pytest.fixture
def ask(settings: Any, monkeypatch: Any, endpoint: Any, invoke: Any, work: Any) -> Callable[..., Any]:
    """Run a task against an endpoint of this provider that answers so; the endpoint and the task."""

    def run(
        *replies: Reply,
        provider: str = "openai",
        retry: float = 0.1,
        timeout: float = 5.0,
        wait: float = 0.1,
        url: str = "",
        model: str = "",
    ) -> Any:
        monkeypatch.setattr(calls, "FIRST_WAIT", wait)
        server = endpoint(*replies)
        settings.OPENAI_BASE_URL = f"{url or server.url}/v1"
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url or server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
        monkeypatch.setenv("OLLAMA_HOST", url or server.url)
        settings.AGENTS = {"default": {**settings.AGENTS["default"], "MODEL": model or f"{provider}:m"}}
        settings.MODEL_RETRY_SECONDS, settings.MODEL_TIMEOUT_SECONDS = retry, timeout
        registry.agent.cache_clear()
        registry.graph.cache_clear()
        task = invoke("hello")
        work()
        return server, again(task)

    return run
