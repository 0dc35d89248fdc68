"""Sums of what counts against budgets, in the units of the budgets. One statement for all budgets of a check."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from agents.models import Budget, ModelCall, Task
from core.db import exact

Unit = Budget.Unit
Scope = Budget.Scope

# A call that failed has cost nothing. One that is on its way counts once it has ended.
_IS_NOTHING = f"outcome = '{ModelCall.Outcome.FAILED}' OR finished_at IS NULL"
_IS_UNKNOWN = "input_tokens IS NULL OR output_tokens IS NULL"
_AMOUNTS = {  # with the assumption for an unknown call as a parameter
    Unit.TOKENS: (
        f"SUM(CASE WHEN {_IS_NOTHING} THEN 0 WHEN {_IS_UNKNOWN} THEN {{assumed}} ELSE input_tokens + output_tokens END)"
    ),
    Unit.MONEY: f"SUM(CASE WHEN {_IS_NOTHING} THEN 0 WHEN cost IS NULL THEN {{assumed}} ELSE cost END)",
}
_OF_ONE_CALL = {Unit.TOKENS: "input_tokens + output_tokens", Unit.MONEY: "cost"}
_LAST = """
    (SELECT {amount} FROM agents_modelcall AS last WHERE last.task_id = {task} AND {amount} IS NOT NULL
    ORDER BY last.started_at DESC LIMIT 1)
"""
_SUM = "SELECT {number}, COALESCE({amount}, 0), {last} FROM {table} WHERE {whose} started_at >= %s AND started_at < %s"
_CALLS, _TOOL_CALLS = "agents_modelcall", "agents_toolcall AS made JOIN agents_task AS task ON task.id = made.task_id"
LATEST = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Part:
    """Calls that count against a budget, from a moment on, as they concern this task."""

    budget: Budget
    task: Task
    since: datetime
    until: datetime | None = None  # None: all since


@dataclass(frozen=True)
class Spent:
    """What they add up to, and what the task's next call is expected to use: as much as its last one."""

    amount: Decimal
    expected: Decimal


def spent(parts: Sequence[Part]) -> list[Spent]:
    """Return what each of the parts adds up to."""
    sqls, values = zip(*(_statement(number, part) for number, part in enumerate(parts)), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(sqls), [value for some in values for value in some])
        found = {number: (amount, last) for number, amount, last in cursor.fetchall()}
    return [_spent(part.budget, *found[number]) for number, part in enumerate(parts)]


def _spent(budget: Budget, amount: Any, last: Any) -> Spent:
    if budget.unit in (Unit.MODEL_CALLS, Unit.TOOL_CALLS):
        return Spent(Decimal(int(amount)), Decimal(budget.unit == Unit.MODEL_CALLS))
    places = exact.PLACES if budget.unit == Unit.MONEY else 0
    return Spent(Decimal(int(amount)).scaleb(-places), Decimal(int(last or 0)).scaleb(-places))


def _statement(number: int, part: Part) -> tuple[str, list[Any]]:
    budget, amount, last = part.budget, "COUNT(*)", "0"
    before: list[Any] = []
    if (of_one := _OF_ONE_CALL.get(Unit(budget.unit))) is not None:
        amount = _AMOUNTS[Unit(budget.unit)].format(assumed=_place("bigint"))
        last = _LAST.format(amount=of_one, task=_place("uuid"))
        before = [_assumed(budget), _id(part.task.pk)]
    is_of_tools = budget.unit == Unit.TOOL_CALLS
    whose, values = _whose(budget, part.task, of_tools=is_of_tools)
    table = _TOOL_CALLS if is_of_tools else _CALLS
    until = part.until or LATEST
    sql = _SUM.format(number=number, amount=amount, last=last, table=table, whose=whose)
    return sql, [*before, *values, _time(part.since), _time(until)]


def _whose(budget: Budget, task: Task, *, of_tools: bool) -> tuple[str, list[Any]]:
    """Return the beginning of the condition for the calls that are added up, and its values."""
    if budget.scope == Scope.TASK or budget.period == Budget.Period.TASK:
        return f"{'made.' if of_tools else ''}task_id = %s AND", [_id(task.pk)]
    if budget.scope == Scope.AGENT:
        return "agent = %s AND", [budget.value]
    if budget.scope == Scope.SESSION and of_tools:
        return "task.session_id = %s AND", [_id(task.session_id)]
    if budget.scope == Scope.SESSION:
        return "user_id = %s AND session_id = %s AND", [task.user_id, task.session.session_id]
    if budget.scope in (Scope.USER, Scope.EACH_USER):
        return f"{'task.' if of_tools else ''}user_id = %s AND", [budget.value or task.user_id]
    return "", []


def _assumed(budget: Budget) -> int:
    return int(budget.assumed.scaleb(exact.PLACES) if budget.unit == Unit.MONEY else budget.assumed)


def _place(kind: str) -> str:
    return f"%s::{kind}" if connection.vendor == "postgresql" else "%s"


def _time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _id(value: Any) -> Any:
    return Task._meta.pk.get_db_prep_value(value, connection)
