"""Services that write budgets: only writer of Budget. The audit log records each change.

`agents.state.budgets` counts against them, and `reviews.decisions.budgets` extends them.
"""

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from agents.maintenance import budgets as waiting
from agents.models import Budget
from core.errors import Invalid
from core.identifiers import identifier
from core.text import is_storable
from reviews.audit import log
from reviews.decisions.budgets import amount
from reviews.models import AuditEntry

Scope = Budget.Scope
Unit = Budget.Unit
Verb = AuditEntry.Verb
FIXED = ("scope", "value", "unit", "period")  # what was counted would mean something else if they changed


def checked(budget: Budget, limit: Any, assumed: Any) -> dict[str, list[str]]:
    """Check the budget and put the amounts in. Returns the errors by field."""
    wrong: dict[str, list[str]] = {}
    if (error := _wrong_value(budget)) is not None:
        wrong["value"] = [error]
    elif budget.scope in (Scope.USER, Scope.SESSION, Scope.TASK) and budget.value:
        budget.value = identifier(budget.value)
    needed = budget.unit in (Unit.TOKENS, Unit.MONEY)
    for name, given in (("limit", limit), ("assumed", assumed if needed else None)):
        try:
            setattr(budget, name, amount(given, budget.unit) if name == "limit" or needed else 0)
        except Invalid as invalid:
            wrong[name] = list(invalid.extra["errors"]["amount"])
    return wrong


def save(budget: Budget, by: User) -> None:
    """Store the budget. Tasks that wait for it go on if it has room now."""
    verb = Verb.BUDGET_CREATED if budget._state.adding else Verb.BUDGET_CHANGED
    with transaction.atomic():
        budget.save()
        log.budget(verb, budget, by)
        transaction.on_commit(partial(waiting.wake_with_room, str(budget.pk)), robust=True)


def delete(budget: Budget, by: User) -> None:
    """Delete the budget with all that was counted. Tasks that wait for it go on."""
    with transaction.atomic():
        log.budget(Verb.BUDGET_DELETED, budget, by)
        transaction.on_commit(partial(waiting.wake_with_room, str(budget.pk)), robust=True)
        budget.delete()


def of_user(user_id: str) -> QuerySet[Budget]:
    """Return the budgets of this user."""
    return Budget.objects.filter(scope=Scope.USER, value=user_id)


def _wrong_value(budget: Budget) -> str | None:
    value = budget.value
    if budget.scope in (Scope.EVERYTHING, Scope.EACH_USER):
        return _("Leave the name empty: this budget applies to all.") if value else None
    if budget.scope == Scope.AGENT and value not in settings.AGENTS:
        names = ", ".join(sorted(settings.AGENTS))
        return _("There is no such agent. Available agents: %(names)s.") % {"names": names}
    if not value:
        return _("Enter a name.") if budget.scope == Scope.USER else None
    if not is_storable(value):
        return _("The text contains a character that can't be stored.")
    try:
        identifier(value)
    except ValueError as error:
        return None if budget.scope == Scope.AGENT else str(error)
    return None
