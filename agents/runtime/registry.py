"""Agents of `settings.AGENTS`, resolved by alias and built once per process."""

import asyncio
import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, wraps
from types import ModuleType
from typing import Any, cast

from django.conf import settings
from django.utils.module_loading import import_string
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool, StructuredTool

from agents import config, json_schema
from agents.config import Misconfigured
from agents.policy import BasePolicy
from agents.runtime import tool_schemas
from agents.runtime.endpoints import http_clients
from agents.runtime.gate import retried_nodes
from agents.runtime.gate.guard import guarded
from memory.strategies import Strategy, made_for

COMPATIBLE = "agents.runtime.endpoints.chat.compatible"  # imported only where an agent needs it: it takes a second

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Agent:
    """One entry of `settings.AGENTS`, resolved."""

    alias: str
    model: Callable[[], BaseChatModel]
    tools: tuple[BaseTool, ...]
    policy: BasePolicy
    memory: Strategy
    system_prompt: str
    build: Callable[["Agent"], Any]  # makes a StateGraph or a compiled graph
    left_out: dict[str, str] = field(default_factory=dict)  # tools whose schema can't be read, with the reason

    def tool(self, name: str) -> BaseTool | None:
        """Return the tool of this name, or None."""
        return next((tool for tool in self.tools if tool.name == name), None)


@cache
def agent(alias: str) -> Agent:
    """Return the agent of this alias. Raises Misconfigured."""
    entry = config.agent(alias)
    tools, left_out = _tools(entry.tools)
    for name, reason in left_out.items():
        logger.error("agent %s: tool %s is left out, its schema can't be read: %s", alias, name, reason)
    return Agent(
        alias=alias,
        model=cache(lambda: _prepared(_compatible(_model(alias, entry.model)))),
        tools=tools,
        policy=config.policy(alias),
        memory=made_for(alias, config.named(entry.memory)),
        system_prompt=entry.system_prompt,
        build=config.named(entry.graph),
        left_out=left_out,
    )


def has_tool(name: str) -> bool:
    """Return whether any agent has a tool of this name. Raises Misconfigured."""
    return any(agent(alias).tool(name) is not None for alias in settings.AGENTS)


@cache
def graph(alias: str) -> Any:
    """Return the agent's compiled graph, without a checkpointer: each run adds its own. Raises Misconfigured."""
    retried_nodes.install()
    built = agent(alias).build(agent(alias))
    return built if hasattr(built, "stream") else built.compile()


def _model(alias: str, spec: str) -> BaseChatModel:
    if not spec:
        raise Misconfigured(f"AGENTS[{alias!r}] has no MODEL.")
    provider, _, name = spec.partition(":")
    if not name:
        made = config.named(spec)()
        if not isinstance(made, BaseChatModel):
            raise Misconfigured(f"{spec} does not return a chat model.")
        return made
    # All retries are in one place, `endpoints.calls`; a second layer below would multiply them.
    options: dict[str, Any] = {"max_retries": 0, "timeout": settings.MODEL_TIMEOUT_SECONDS}
    if provider == "openai":
        options["stream_usage"] = True
        options["api_key"] = settings.OPENAI_API_KEY or "none"  # local servers need no key, but the client does
        if settings.OPENAI_BASE_URL:
            options["base_url"] = settings.OPENAI_BASE_URL
            options["use_responses_api"] = False  # compatible servers support chat completions
    return init_chat_model(name, model_provider=provider, **options)


def _prepared(model: BaseChatModel) -> BaseChatModel:
    http_clients.prepare(model)
    return model


def _compatible(model: BaseChatModel) -> BaseChatModel:
    """Return the model, adapted to irregular answers if it is a client of OpenAI-compatible endpoints."""
    if not any(cls.__module__.startswith("langchain_openai.") for cls in type(model).__mro__):
        return model
    return cast(BaseChatModel, import_string(COMPATIBLE)(model))


def _tools(paths: Iterable[str]) -> tuple[tuple[BaseTool, ...], dict[str, str]]:
    """Return the guarded tools, and the reasons for the tools left out, by name. Raises Misconfigured."""
    found: dict[str, BaseTool] = {}
    for path in paths:
        for tool in _tools_at(path):
            if found.setdefault(tool.name, tool) is not tool:
                raise Misconfigured(f"Two tools have the name {tool.name!r} (the second one in {path}).")
    kept, left_out = [], {}
    for tool in found.values():
        try:
            kept.append(guarded(_synchronous(tool_schemas.readable(tool))))
        except json_schema.Unreadable as error:
            left_out[tool.name] = str(error)
    return tuple(kept), left_out


def _synchronous(tool: BaseTool) -> BaseTool:
    """Return the tool with a function that runs its coroutine, if it has only that: runs are synchronous."""
    coroutine = getattr(tool, "coroutine", None)
    if not isinstance(tool, StructuredTool) or tool.func is not None or coroutine is None:
        return tool

    @wraps(coroutine)
    def func(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(coroutine(*args, **kwargs))

    return tool.model_copy(update={"func": func})


def _tools_at(path: str) -> list[BaseTool]:
    """Return the tools of a package or module, or the one tool that the path names. Raises Misconfigured."""
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise Misconfigured(f"{path}: {error}") from error
        tool = config.named(path)
        if not isinstance(tool, BaseTool):
            raise Misconfigured(f"{path} is not a LangChain tool.") from error
        return [tool]
    return [tool for part in _modules(module) for tool in vars(part).values() if _is_from(tool, part)]


def _modules(module: ModuleType) -> list[ModuleType]:
    names = (info.name for info in pkgutil.iter_modules(getattr(module, "__path__", []), f"{module.__name__}."))
    return [module, *(importlib.import_module(name) for name in sorted(names))]


def _is_from(value: Any, module: ModuleType) -> bool:
    """Return whether the value is a tool that this module defines rather than imports."""
    if not isinstance(value, BaseTool):
        return False
    function = getattr(value, "func", None) or getattr(value, "coroutine", None)
    return function is None or function.__module__ == module.__name__
