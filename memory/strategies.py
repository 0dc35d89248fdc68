"""Strategies for what an agent recalls before a task and keeps after it, named in `settings.AGENTS[…]["MEMORY"]`."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.db.models import F, Q

from core.db.clock import Now
from core.db.compiled import Compiled
from memory.models import Memory
from memory.recall import fill
from memory.search import newest, ranked


@dataclass(frozen=True)
class Recalled:
    """A memory as an agent gets it."""

    id: str
    text: str
    kind: str  # a value of Memory.Kind


class Strategy(Protocol):
    """A way of remembering. Each process makes one per agent (`made_for`), and many threads use it at once."""

    def recall(self, user_id: str, session: str, query: str) -> list[Recalled]:
        """Return the memories that the agent gets before it works on `query`, best first.

        Args:
            user_id: the owner of the task.
            session: the client's session_id of the task.
            query: what the user asks for.
        """

    # A strategy may also have `remember(task)`, which a separate job calls with the agents.Task after it has completed.
    # It has to be idempotent: the broker may deliver a job twice. An exception is logged and changes nothing. If the
    # broker is away, the agent or the user is paused, or the worker dies, nothing is remembered of the task: use a tool
    # to save what must not be lost.


def made_for(agent: str, make: Callable[..., Strategy]) -> Strategy:
    """Return the agent's strategy: call `make` with `agent=<its alias>` if it takes that, else without arguments."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):  # callables written in C may have no signature
        return make()
    takes = "agent" in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return make(agent=agent) if takes else make()


_USABLE = Compiled[Memory](
    lambda user_id, session, agent: newest(
        Memory.objects.usable().filter(
            Q(scope=Memory.Scope.USER)
            | Q(scope=Memory.Scope.SESSION, scope_ref=session)
            | Q(scope=Memory.Scope.AGENT, scope_ref=agent),
            user_id=user_id,
        )
    )
)


class Default:
    """Strategy that recalls what fits `settings.MEMORY_TOKENS`, by words and recency. It keeps nothing after a task."""

    def __init__(self, agent: str = "") -> None:
        """Recall for the agent of this alias. With "", memories in the scope of an agent are left out."""
        self.agent = agent

    def recall(self, user_id: str, session: str, query: str) -> list[Recalled]:
        """Return the usable memories of this owner, session and agent, and count each as used."""
        found, ranking = ranked(_USABLE(user_id, session, self.agent), query)
        if not found:
            return []
        chosen = [one.candidate.id for one in fill(ranking, settings.MEMORY_TOKENS)]
        Memory.objects.filter(pk__in=chosen).update(last_used_at=Now(), use_count=F("use_count") + 1)
        return [Recalled(pk, found[pk].text, found[pk].kind) for pk in chosen]

    def remember(self, task: Any) -> None:
        """Keep nothing: the `remember` tool and the client write what is to be kept while the task runs."""


def remembers(strategy: Strategy) -> bool:
    """Return whether the strategy looks at completed tasks."""
    remember = getattr(strategy, "remember", None)
    return callable(remember) and getattr(remember, "__func__", remember) is not Default.remember
