"""Check of budgets before a call of a model, their extensions and warnings. Only this module writes `BudgetUse`.

The rows of the uses are locked while a call is checked and entered, so that calls in parallel see one another. They are
the last locks that a transaction takes, in the order of their keys.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Min, Q
from django.utils.translation import gettext as _

from agents import signals
from agents.models import Budget, BudgetExtension, BudgetUse, Interrupt, ModelCall, Session, Task
from agents.usage import spending
from core.db import exact
from core.db.clock import Now
from core.db.process_cache import process
from core.errors import Invalid

logger = logging.getLogger(__name__)

Row = TypeVar("Row")

COUNT_EVERY = timedelta(seconds=300)  # between two additions to `counted`
SETTLED = timedelta(seconds=60)  # after which no call appears any more that began before
CACHED = "budgets"


@dataclass(frozen=True)
class State:
    """What a task has left of a budget in the current period."""

    budget: Budget
    used: Decimal
    limit: Decimal  # with its extensions
    expected: Decimal  # use of the task's next call, as far as it can be told

    @property
    def is_breached(self) -> bool:
        """Return whether the next call would use more than the limit. A tool call comes after it, and is not known."""
        return self.used >= self.limit or self.used + self.expected > self.limit

    @property
    def left(self) -> Decimal:
        """What is left."""
        return max(self.limit - self.used, Decimal(0))


class Breach(Exception):
    """A budget has no room for the next call."""

    def __init__(self, state: State) -> None:
        super().__init__(f"The budget {state.budget.name!r} is used up.")
        self.state = state


class _Missing(Exception):
    """A use has no row yet."""


def of(task: Task) -> list[Budget]:
    """Return the budgets that apply to the task, as far as this process knows: it looks every STALENESS_SECONDS."""
    known: list[Budget] | None = process.get(CACHED)
    if known is None:
        known = list(Budget.objects.filter(enabled=True).select_related("deciders").order_by("pk"))
        process.set(CACHED, known, settings.STALENESS_SECONDS)
    return [budget for budget in known if budget.applies_to(task)]


def within(task: Task, budgets: Sequence[Budget], enter: Callable[[], Row]) -> Row:
    """Enter a call of the task if these budgets have room for it, and return what `enter` returns. Raises Breach."""
    while True:
        try:
            with transaction.atomic():
                states = _checked(task, budgets)
                breached = [one for one in states if one.is_breached]
                if not breached:
                    return enter()
        except _Missing:
            budgets = _begun(task, budgets)
            continue
        # A stop goes before a question, which nobody needs to answer then.
        raise Breach(next((one for one in breached if one.budget.breach == Budget.Breach.STOP), breached[0]))


def states_of(task: Task, budgets: Collection[Budget] | None = None) -> list[State]:
    """Return the states of the budgets that apply to the task. Locks nothing, and changes nothing."""
    budgets = of(task) if budgets is None else budgets
    rows = {row.budget_id: row for row in BudgetUse.objects.filter(_uses(task, budgets))} if budgets else {}
    uses = [rows.get(budget.pk) or _new(task, budget) for budget in budgets]
    return _states(task, list(budgets), uses)


def state_of_use(budget: Budget, use: BudgetUse) -> State:
    """Return the state of this subject and period. Locks nothing, and changes nothing."""
    (state,) = _states(_standing_for(budget, use), [budget], [use])
    return state


def subject_name(use: BudgetUse) -> str:
    """Return the client's name of the subject: a task's or session's id, or a user's; "" for one sum of all."""
    if use.task is not None:
        return str(use.task.task_id)
    session = _standing_for(use.budget, use).session if use.budget.scope == Budget.Scope.SESSION else None
    return use.subject if session is None else session.session_id


def extend(review: Interrupt, amount: Decimal, by: User) -> Decimal | None:
    """Extend the budget that the review is about, in its current period. Returns by how much.

    Nothing is extended, and None is returned, if the budget was deleted meanwhile. The caller has locked the task and
    the review. Raises Invalid if the sum would be too large to store.
    """
    budget = Budget.objects.filter(pk=review.args["budget_id"]).first()
    if budget is None:
        return None
    use = _new(review.task, budget)
    BudgetUse.objects.bulk_create([use], ignore_conflicts=True)
    row = BudgetUse.objects.select_for_update(no_key=True).get(_uses(review.task, [budget]))
    if budget.limit + row.extended + amount > exact.LARGEST:
        raise Invalid(errors={"amount": [_("The budget can't be extended by so much.")]})
    row.extended += amount  # not by an expression, which would not convert the amount
    row.save(update_fields=["extended"])
    BudgetExtension.objects.create(use=row, review=review, amount=amount, by=by, by_name=by.get_username())
    return amount


def of_user(user_id: str) -> Any:
    """Return the uses of budgets of each user whose subject is this user."""
    return BudgetUse.objects.filter(budget__scope=Budget.Scope.EACH_USER, subject=user_id, task=None)


def _checked(task: Task, budgets: Sequence[Budget]) -> list[State]:
    """Lock the uses of these budgets, warn where it is due, and return their states. Raises _Missing."""
    rows = BudgetUse.objects.select_for_update(no_key=True, of=("self",)).filter(_uses(task, budgets)).order_by("pk")
    found: dict[Any, Any] = {row.budget_id: row for row in rows.annotate(now=Now())}
    if len(found) < len(budgets):
        raise _Missing
    uses = [found[budget.pk] for budget in budgets]
    for budget, use in zip(budgets, uses, strict=True):
        if use.now - use.counted_until > COUNT_EVERY and use.task_id is None:
            _count(task, budget, use)
    states = _states(task, budgets, uses)
    for state, use in zip(states, uses, strict=True):
        _warn(task, state, use)
    return states


def _states(task: Task, budgets: Sequence[Budget], uses: Sequence[BudgetUse]) -> list[State]:
    if not budgets:
        return []
    parts = [spending.Part(budget, task, use.counted_until) for budget, use in zip(budgets, uses, strict=True)]
    return [
        State(budget, use.counted + spent.amount, budget.limit + use.extended, spent.expected)
        for budget, use, spent in zip(budgets, uses, spending.spent(parts), strict=True)
    ]


def _standing_for(budget: Budget, use: BudgetUse) -> Task:
    """Return a task whose use is that of the subject; one that is not stored if the subject is no task."""
    if use.task is not None:
        return use.task
    session = None
    if budget.scope == Budget.Scope.SESSION:
        session = Session.objects.filter(pk=use.subject).first()
    session = session or Session(user_id=use.subject)
    return Task(session=session, user_id=session.user_id)


def _count(task: Task, budget: Budget, use: Any) -> None:
    """Add the calls that can't change any more to the use's row, so that each check reads only those of minutes."""
    first = ModelCall.objects.filter(finished_at=None).aggregate(first=Min("started_at"))["first"]
    until = min(use.now - SETTLED, first or use.now)
    if until <= use.counted_until:
        return
    (added,) = spending.spent([spending.Part(budget, task, use.counted_until, until)])
    use.counted, use.counted_until = min(use.counted + added.amount, exact.LARGEST), until
    use.save(update_fields=["counted", "counted_until"])


def _warn(task: Task, state: State, use: BudgetUse) -> None:
    """Announce once in a period that the budget is nearly used up."""
    if use.warned_at is not None or state.used * 100 < state.limit * state.budget.warning_share:
        return
    use.warned_at = datetime.now(UTC)
    BudgetUse.objects.filter(pk=use.pk).update(warned_at=Now())
    logger.warning("budget %s is nearly used up, by task %s", state.budget.pk, task.pk)
    signals.budget_nearly_used.send_robust(sender=Budget, use=use, task=task, state=state)


def _begun(task: Task, budgets: Sequence[Budget]) -> list[Budget]:
    """Store the rows of uses that are missing. Returns the budgets that still exist."""
    for budget in budgets:
        try:
            BudgetUse.objects.bulk_create([_new(task, budget)], ignore_conflicts=True)
        except IntegrityError:  # the budget was deleted
            logger.info("budget %s is gone", budget.pk)
    process.delete(CACHED)
    return [budget for budget in of(task) if budget in budgets]


def _new(task: Task, budget: Budget) -> BudgetUse:
    subject, start = budget.subject_of(task), budget.period_at(datetime.now(UTC))
    of_task = task.pk if subject == str(task.pk) else None
    return BudgetUse(budget=budget, subject=subject, period_start=start, task_id=of_task, counted_until=start)


def _uses(task: Task, budgets: Collection[Budget]) -> Q:
    """Return the condition for the rows of the current period."""
    now = datetime.now(UTC)
    found = Q(pk__in=())
    for budget in budgets:
        found |= Q(budget=budget, subject=budget.subject_of(task), period_start=budget.period_at(now))
    return found
