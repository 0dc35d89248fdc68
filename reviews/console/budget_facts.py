"""What a review about a budget is about, in the reader's language."""

import json
from decimal import Decimal

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from agents.models import Budget, Interrupt
from agents.usage.budget_texts import plain


def measured(unit: str, amount: Decimal) -> str:
    """Return an amount with its unit, in the reader's language."""
    number = number_format(plain(amount), use_l10n=True, force_grouping=True)
    if unit == Budget.Unit.MONEY:
        return f"{number} {settings.MODEL_CURRENCY}"
    return f"{number} {Budget.Unit(unit).label.lower()}"


def facts(review: Interrupt) -> list[tuple[str, str]]:
    """Return what a review about a budget is about, as labels and values."""
    about = review.args
    unit = str(about["unit"])
    lines = [
        (_("Budget"), str(about["budget"])),
        (_("Whose use is counted"), f"{Budget.Scope(about['scope']).label} / {Budget.Period(about['period']).label}"),
        (_("Used"), measured(unit, Decimal(about["used"]))),
        (_("Limit"), measured(unit, Decimal(about["limit"]))),
    ]
    if unit in (Budget.Unit.TOKENS, Budget.Unit.MONEY):
        lines.append((_("Expected of the next call"), measured(unit, Decimal(about["expected"]))))
    return lines


def extended_by(review: Interrupt) -> str:
    """Return by how much the decision has extended the budget; "" if it has not."""
    if review.kind != Interrupt.Kind.BUDGET or not review.answer_args_text:
        return ""
    return measured(str(review.args["unit"]), Decimal(json.loads(review.answer_args_text)["amount"]))
