"""The entries of `settings.AGENTS` and their policies, for every process: nothing here imports LangChain."""

import inspect
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from agents.policy import BasePolicy, FunctionPolicy

_lock = threading.RLock()


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
    tools: tuple[str, ...]
    system_prompt: str


def agent(alias: str) -> AgentConfig:
    """Return the entry of this alias. Raises Misconfigured."""
    entry = settings.AGENTS.get(alias)
    if entry is None:
        raise Misconfigured(f"AGENTS has no entry {alias!r}.")
    if missing := [name for name in ("GRAPH", "POLICY", "MEMORY") if name not in entry]:
        raise Misconfigured(f"AGENTS[{alias!r}] has no {', '.join(missing)}.")
    return AgentConfig(
        alias=alias,
        graph=entry["GRAPH"],
        model=entry.get("MODEL", ""),  # needed only when a graph asks for it
        policy=entry["POLICY"],
        memory=entry["MEMORY"],
        tools=tuple(entry.get("TOOLS", ())),
        system_prompt=entry.get("SYSTEM_PROMPT", ""),
    )


def policy(alias: str) -> BasePolicy:
    """Return the policy of this agent. Raises Misconfigured."""
    return _policy(agent(alias).policy)


def default_policy() -> BasePolicy:
    """Return the policy that also keeps the records of a policy that is a function. Raises Misconfigured."""
    return _policy(settings.DEFAULT_POLICY)


def named(path: str) -> Any:
    """Import the object at the dotted path. Raises Misconfigured."""
    try:
        return import_string(path)
    except ImportError as error:
        raise Misconfigured(f"{path}: {error}") from error


def _policy(path: str) -> BasePolicy:
    with _lock:  # one instance serves all threads
        return _made(path)


@cache
def _made(path: str) -> BasePolicy:
    found = named(path)
    if inspect.isclass(found) and issubclass(found, BasePolicy):
        try:
            found = found()
        except TypeError as error:  # it is abstract, or wants arguments
            raise Misconfigured(f"{path}: {error}") from error
    if isinstance(found, BasePolicy):
        return found
    if callable(found) and not inspect.isclass(found) and path != settings.DEFAULT_POLICY:
        return FunctionPolicy(found, _made(settings.DEFAULT_POLICY))
    if path == settings.DEFAULT_POLICY:
        raise Misconfigured(f"{path} is not a policy. DEFAULT_POLICY must be an agents.policy.BasePolicy.")
    raise Misconfigured(f"{path} is neither a policy (agents.policy.BasePolicy) nor a function that returns a verdict.")
