"""`settings.AGENTS` as plain values, for every process: nothing here imports LangChain."""

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from agents.policy import BasePolicy, FunctionPolicy


class Misconfigured(Exception):
    """An agent is not configured, or its settings name something that cannot be used."""


@dataclass(frozen=True)
class AgentConfig:
    """One entry of `settings.AGENTS`. The names are dotted paths."""

    alias: str
    graph: str
    model: str  # "provider:name", or the path of a function that creates one
    policy: str
    memory: str
    tools: tuple[str, ...] = ()
    system_prompt: str = ""


def agent(alias: str) -> AgentConfig:
    """Return the entry of this alias. Raises Misconfigured."""
    entry = settings.AGENTS.get(alias)
    if entry is None:
        raise Misconfigured(f"AGENTS has no {alias!r}.")
    needed = {name: entry[name.upper()] for name in ("graph", "model", "policy", "memory")}
    return AgentConfig(
        alias, **needed, tools=tuple(entry.get("TOOLS", ())), system_prompt=entry.get("SYSTEM_PROMPT", "")
    )


def policy(alias: str) -> BasePolicy:
    """Return the policy of this agent. Raises Misconfigured."""
    return _policy(agent(alias).policy)


def named(path: str) -> Any:
    """Import the object at the dotted path. Raises Misconfigured."""
    try:
        return import_string(path)
    except ImportError as error:
        raise Misconfigured(f"{path}: {error}") from error


@cache
def _policy(path: str) -> BasePolicy:
    found = named(path)
    if inspect.isclass(found) and issubclass(found, BasePolicy):
        found = found()
    if isinstance(found, BasePolicy):
        return found
    if callable(found) and not inspect.isclass(found):
        return FunctionPolicy(found, _policy(settings.DEFAULT_POLICY))
    raise Misconfigured(f"{path} is neither a policy (agents.policy.BasePolicy) nor a function that judges a call.")
