"""Kill switch: the pauses that are in force, and the check right before any work begins.

A pause applies to claims, to calls of the model and to ledger entries. A task that a pause stops becomes pending again
and records the tool whose call was about to begin (`held_tool`). No worker claims it until the pause is lifted.
"""

import logging

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Q, QuerySet

from agents.models import Pause, Task
from core.db.process_cache import process

logger = logging.getLogger(__name__)

Scope = Pause.Scope

LOCK = 0x6167656E74736974  # PostgreSQL advisory lock that ledger entries share: "agentsit"
PATIENCE = "2s"  # longest wait for entries in progress when a pause is created


class OnHold(Exception):
    """A pause stops the task. `tool` names the tool whose call was about to begin; it is "" for a call of the model."""

    def __init__(self, tool: str = "") -> None:
        self.tool = tool
        super().__init__(f"The call of {tool} is paused." if tool else "The task is paused.")


def active() -> QuerySet[Pause]:
    """Return the pauses that are in force, oldest first."""
    return Pause.objects.filter(lifted_at=None).order_by("created_at", "pk")


def over(task: Task, tool: str = "") -> Pause | None:
    """Return the oldest pause that holds this task right before it calls `tool`, or None if it may continue."""
    about = Q(scope=Scope.EVERYTHING) | Q(scope=Scope.AGENT, value=task.agent) | Q(scope=Scope.USER, value=task.user_id)
    if tool:
        about |= Q(scope=Scope.TOOL, value=tool)
    return active().filter(about).first()


def announce_entry() -> None:
    """Let `settle` wait for this transaction, which is about to enter a call in the ledger.

    No entry is made after the request for a pause has been answered: on PostgreSQL, `settle` waits for entries in
    progress; SQLite allows one writer at a time. The pauses are read in a later statement, which sees all that were
    committed before.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))


def require_none(task: Task, tool: str) -> None:
    """Raise OnHold if this call may not begin. Called in the transaction that enters the call in the ledger."""
    if over(task, tool) is not None:
        raise OnHold(tool)


def may_hold(task: Task) -> bool:
    """Return whether a pause holds this task, as far as this process knows: it looks every STALENESS_SECONDS."""
    known: list[tuple[str, str]] | None = process.get("pauses")
    if known is None:
        known = list(active().values_list("scope", "value"))
        process.set("pauses", known, settings.STALENESS_SECONDS)
    mine = {(Scope.EVERYTHING, ""), (Scope.AGENT, task.agent), (Scope.USER, task.user_id)}
    return any(pause in mine for pause in known)


def settle() -> None:
    """Wait for ledger entries in progress that may not have seen a pause that was just committed.

    Waits at most PATIENCE for a worker that hangs in its transaction. The pause applies all the same.
    """
    if connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    except OperationalError as error:
        logger.warning("a tool call is being entered for %s already and may still begin (%s)", PATIENCE, error)


def held(tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Return the tasks that a pause holds."""
    return held_by(list(active()), tasks)


def held_by(pauses: list[Pause], tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Return the tasks that one of these pauses holds."""
    names = _names(pauses)
    return tasks if names[Scope.EVERYTHING] else tasks.filter(_held(names))


def free(tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Return the tasks that no pause holds."""
    names = _names(list(active()))
    return tasks.none() if names[Scope.EVERYTHING] else tasks.exclude(_held(names))


def _names(pauses: list[Pause]) -> dict[str, list[str]]:
    return {scope: [pause.value for pause in pauses if pause.scope == scope] for scope in Scope.values}


def _held(names: dict[str, list[str]]) -> Q:
    by_tool = Q(held_tool__in=names[Scope.TOOL])
    return Q(agent__in=names[Scope.AGENT]) | Q(user_id__in=names[Scope.USER]) | by_tool
