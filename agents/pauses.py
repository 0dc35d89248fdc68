"""The kill switch as work meets it: what is paused, and the look at it right before anything begins.

A pause counts for a claim, for each call of the model and for each ledger entry. A task that it stops becomes pending
again, with the tool in front of which it stopped (`held_tool`); no worker claims it until the pause is lifted.
"""

import logging
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from agents.models import Pause, Task

logger = logging.getLogger(__name__)

Scope = Pause.Scope

LOCK = 0x6167656E74736974  # PostgreSQL's advisory lock that entries share: "agentsit"
PATIENCE = "2s"  # for entries that are on their way when a pause is made


class OnHold(Exception):
    """A pause keeps the task from going on; `tool` is the call in front of which it stopped, "" a call of the model."""

    def __init__(self, tool: str = "") -> None:
        self.tool = tool
        super().__init__(f"The call of {tool} is paused." if tool else "The task is paused.")


def active() -> QuerySet[Pause]:
    """The pauses that are in force, oldest first."""
    return Pause.objects.filter(lifted_at=None).order_by("created_at", "pk")


def over(task: Task, tool: str = "") -> Pause | None:
    """The pause that holds this task, right before it calls `tool`; None where it may go on."""
    about = Q(scope=Scope.EVERYTHING) | Q(scope=Scope.AGENT, value=task.agent) | Q(scope=Scope.USER, value=task.user_id)
    if tool:
        about |= Q(scope=Scope.TOOL, value=tool)
    return active().filter(about).first()


def marked(tasks: QuerySet[Task]) -> QuerySet[Any]:
    """The tasks with `is_paused`, so that a client who polls costs no second query while nothing is paused."""
    about = Q(scope=Scope.AGENT, value=OuterRef("agent")) | Q(scope=Scope.USER, value=OuterRef("user_id"))
    about |= Q(scope=Scope.EVERYTHING) | Q(scope=Scope.TOOL, value=OuterRef("held_tool"))
    return tasks.annotate(is_paused=Exists(Pause.objects.filter(about, lifted_at=None)))


def require_none(task: Task, tool: str) -> None:
    """Raises OnHold where this call may not begin. The transaction that enters the call in the ledger asks.

    No entry is made after a pause has been answered for: on PostgreSQL `settle` waits for those that are on their way,
    on SQLite nobody else writes meanwhile.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))
    if over(task, tool) is not None:
        raise OnHold(tool)


def settle() -> None:
    """Wait for ledger entries that may not have seen a pause which has just been committed.

    One whose worker stands still in its transaction is waited for only so long; the pause counts all the same.
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
    """Those of the tasks that a pause holds."""
    return held_by(list(active()), tasks)


def held_by(pauses: list[Pause], tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Those of the tasks that one of these pauses holds."""
    names = _names(pauses)
    return tasks if names[Scope.EVERYTHING] else tasks.filter(_held(names))


def free(tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Those of the tasks that no pause holds."""
    names = _names(list(active()))
    return tasks.none() if names[Scope.EVERYTHING] else tasks.exclude(_held(names))


def _names(pauses: list[Pause]) -> dict[str, list[str]]:
    return {scope: [pause.value for pause in pauses if pause.scope == scope] for scope in Scope.values}


def _held(names: dict[str, list[str]]) -> Q:
    by_tool = Q(held_tool__in=names[Scope.TOOL])
    return Q(agent__in=names[Scope.AGENT]) | Q(user_id__in=names[Scope.USER]) | by_tool
