"""Decisions on budgets that are used up: by how much they are extended, and what else they entail."""

import json
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from agents.maintenance import budgets as waiting
from agents.models import Budget, Interrupt
from agents.services import Answer
from agents.state import budgets, sessions
from agents.usage.budget_texts import plain
from core.db import exact
from core.errors import Invalid
from reviews.audit import log

MOST = Decimal(10) ** 9  # of an amount; the database holds nine times as much
LONGEST = 40  # characters of an amount

Kind = Interrupt.Kind


def checked(review: Interrupt, args: Any) -> dict[str, str]:
    """Return the extension as it is stored, {"amount": …}; without an amount, the budget's limit again.

    Raises Invalid.
    """
    if args is None or args == {}:
        return {"amount": str(review.args["extension"])}
    if not isinstance(args, dict) or set(args) != {"amount"}:
        raise Invalid(errors={"args": [_('To extend a budget, send {"amount": …} or nothing.')]})
    return {"amount": plain(amount(args["amount"], str(review.args["unit"])))}


def amount(given: Any, unit: str) -> Decimal:
    """Return a positive amount in the unit of a budget. Raises Invalid."""
    if isinstance(given, bool) or not isinstance(given, int | float | str) or len(str(given)) > LONGEST:
        raise Invalid(errors={"amount": [_("Enter a number.")]})
    try:
        found = Decimal(str(given).strip())
    except InvalidOperation as error:
        raise Invalid(errors={"amount": [_("Enter a number.")]}) from error
    if not found.is_finite() or not 0 < found <= MOST:
        raise Invalid(errors={"amount": [_("Must be greater than 0 and at most %(most)s.") % {"most": plain(MOST)}]})
    if unit != Budget.Unit.MONEY and found != int(found):
        raise Invalid(errors={"amount": [_("Must be a whole number.")]})
    if found != exact.rounded(found):
        raise Invalid(errors={"amount": [_("At most %(places)s decimal places.") % {"places": exact.PLACES}]})
    return found


def lock_session(review_pk: Any) -> None:
    """Lock the session of a review about a budget, whose rejection cancels the task: sessions are locked first."""
    found = Interrupt.objects.filter(pk=review_pk, kind=Kind.BUDGET).values_list("task__session_id", flat=True).first()
    if found is not None:
        sessions.lock(found)


def extend(review: Interrupt, answer: Answer, by: User) -> None:
    """Extend the budget if that is the answer, and let other tasks that wait for it go on."""
    if review.kind != Kind.BUDGET or answer.type != "accept":
        return
    given = budgets.extend(review, Decimal(json.loads(answer.args_text)["amount"]), by)
    if given is not None:
        log.extended(review, plain(given), by)
        transaction.on_commit(partial(waiting.wake_with_room, review.args["budget_id"]), robust=True)
