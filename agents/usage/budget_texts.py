"""Texts about budgets, for people who read the API. The admin words them in the reader's language."""

from decimal import Decimal

from django.conf import settings

from agents.models import Budget
from agents.state.budgets import State

UNITS = {
    Budget.Unit.MODEL_CALLS: "model calls",
    Budget.Unit.TOOL_CALLS: "tool calls",
    Budget.Unit.TOKENS: "tokens",
}
_WHOSE = {
    Budget.Scope.EVERYTHING: "All tasks have",
    Budget.Scope.AGENT: "The tasks of this agent have",
    Budget.Scope.USER: "The tasks of this user have",
    Budget.Scope.EACH_USER: "The tasks of this user have",
    Budget.Scope.SESSION: "The tasks of this session have",
    Budget.Scope.TASK: "This task has",
}
_WHEN = {Budget.Period.TASK: "", Budget.Period.DAY: " today", Budget.Period.MONTH: " this month"}


def plain(amount: Decimal) -> str:
    """Return the amount without an exponent and trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def unit_of(budget: Budget) -> str:
    """Return the unit of the budget's amounts."""
    return UNITS.get(Budget.Unit(budget.unit)) or settings.MODEL_CURRENCY


def used_up(state: State) -> str:
    """Return how much was used of how much, and what the next call is expected to use."""
    budget = state.budget
    whose = "This task has" if budget.period == Budget.Period.TASK else _WHOSE[Budget.Scope(budget.scope)]
    unit = unit_of(budget)
    text = f"{whose} used {plain(state.used)} of {plain(state.limit)} {unit}{_WHEN[Budget.Period(budget.period)]}"
    if budget.unit in (Budget.Unit.TOKENS, Budget.Unit.MONEY) and state.expected:
        text += f"; the next call is expected to use {plain(state.expected)} {unit}"
    return f"{text}."


def refusal(state: State) -> str:
    """Return why a task ends whose budget is used up, for client developers."""
    return (
        f"The budget {state.budget.name!r} is used up, so the task was ended. {used_up(state)} Trying again helps "
        "only once the budget has room, or has been raised by an operator."
    )
