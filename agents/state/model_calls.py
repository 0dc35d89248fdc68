"""Record of model calls: a call is entered before its request leaves, and closed with what its answer reports.

Only this module and `maintenance.usage` write the outcome of a model call. Both statements are SQL, because every call
makes them.
"""

import logging
import uuid
from typing import Any

from django.db import connection, transaction

from agents.models import Attempt, Chore, DayUsage, ModelCall, Task
from agents.state.tasks import StaleAttempt
from agents.usage import prices, sums
from agents.usage.tokens import NOTHING, Tokens
from core.text import shortened, storable, visible

logger = logging.getLogger(__name__)

Outcome = ModelCall.Outcome
FORGOTTEN_AT_ONCE = 2_000  # rows in one statement

# No lock on the attempt: a call that begins while the attempt ends is recorded, because it is sent.
_ENTER = f"""
    INSERT INTO agents_modelcall
        (id, task_id, user_id, session_id, agent, attempt, model, step, outcome, repeats)
    SELECT {{uuid}}, {{uuid}}, {{text}}, {{text}}, {{text}}, {{number}}, {{text}}, {{text}}, '{Outcome.STARTED}',
        EXISTS (SELECT 1 FROM agents_modelcall WHERE task_id = {{uuid}} AND step = {{text}})
    WHERE EXISTS (SELECT 1 FROM {{holder}} WHERE id = {{uuid}} {{still}})
"""
# The sweeper gives a call up only after the longest time that a request may take.
_CLOSE = """
    UPDATE agents_modelcall SET outcome = {text}, input_tokens = {count}, cached_tokens = {count},
        output_tokens = {count}, reasoning_tokens = {count}, seconds = {seconds}, cost = {count}, finished_at = {now}
    WHERE id = {uuid} AND finished_at IS NULL
"""
_POSTGRESQL = {
    **{"uuid": "%s::uuid", "text": "%s::text", "number": "%s::integer", "count": "%s::bigint"},
    **{"seconds": "%s::double precision", "now": "STATEMENT_TIMESTAMP()"},
}
_SQLITE = {
    **dict.fromkeys(("uuid", "text", "number", "count", "seconds"), "%s"),
    "now": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f001', 'NOW')",  # as core.db.clock writes it
}
_PLACES = {"postgresql": _POSTGRESQL, "sqlite": _SQLITE}
_ENTER_OF_RUN, _ENTER_OF_TASK = (
    {vendor: _ENTER.format(**places, holder=holder, still=still) for vendor, places in _PLACES.items()}
    for holder, still in (("agents_attempt", "AND ended_at IS NULL"), ("agents_task", ""))
)
_CLOSES = {vendor: _CLOSE.format(**places) for vendor, places in _PLACES.items()}
_MERGE = f"""
    INSERT INTO agents_dayusage (day, user_id, agent, model, {", ".join(sums.NAMES)})
    SELECT day, '', agent, model, {", ".join(sums.NAMES)} FROM agents_dayusage WHERE user_id = %s
    ON CONFLICT (user_id, day, agent, model) DO UPDATE SET {sums.ADD}
"""


def enter(task: Task, attempt: Attempt | None, model: str, step: str) -> ModelCall:
    """Enter a call that is about to be sent, as a repeat if the task has another one of the same step.

    Raises StaleAttempt if the attempt is over or the task was deleted. Then the request must not be sent.

    Args:
        attempt: None for a call after the task's last attempt, to remember something of it.
        model: the model's name, as the request has it.
        step: identifies what the call is for; a later attempt at the same step has the same.
    """
    name = shortened(visible(storable(model)), ModelCall._meta.get_field("model").max_length or 0)
    row = ModelCall(
        task_id=task.pk,
        user_id=task.user_id,
        session_id=task.session.session_id,
        agent=task.agent,
        attempt=task.token if attempt is None else attempt.token,
        model=name,
        step=step,
    )
    values = [_id(row.pk), _id(task.pk), row.user_id, row.session_id, row.agent, row.attempt, row.model, row.step]
    sql, holder = (_ENTER_OF_TASK, task.pk) if attempt is None else (_ENTER_OF_RUN, attempt.pk)
    with connection.cursor() as cursor:
        cursor.execute(sql[connection.vendor], [*values, _id(task.pk), row.step, _id(holder)])
        if not cursor.rowcount:
            raise StaleAttempt
    return row


def close(row: ModelCall, outcome: Outcome, seconds: float, tokens: Tokens = NOTHING) -> bool:
    """Record how the call ended and what it cost. Returns False if it was already closed.

    An attempt that is over may do so too, because its call has cost money all the same.
    """
    price = prices.price_of(row.model)
    cost = ModelCall._meta.get_field("cost").get_prep_value(price and price.of(tokens))
    counts = [tokens.input, tokens.cached, tokens.output, tokens.reasoning]
    with connection.cursor() as cursor:
        cursor.execute(_CLOSES[connection.vendor], [str(outcome), *counts, seconds, cost, _id(row.pk)])
        closed = bool(cursor.rowcount)
    if not closed:
        logger.warning("model call %s: its answer came too late, it counts as unknown", row.pk)
    return closed


def forget_user(user_id: str) -> None:
    """Take the names of the user and of their sessions off the calls and their sums, so that all sums stay the same."""
    calls = ModelCall.objects.filter(user_id=user_id)
    while pks := list(calls.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]):
        ModelCall.objects.filter(pk__in=pks).update(user_id="", session_id="")
    with transaction.atomic():
        # The sweeper, which adds to these rows, goes before or waits.
        list(Chore.objects.select_for_update(no_key=True).filter(name=sums.CHORE))
        with connection.cursor() as cursor:
            cursor.execute(_MERGE, [user_id])
        DayUsage.objects.filter(user_id=user_id).delete()


def _id(value: uuid.UUID) -> Any:
    return ModelCall._meta.pk.get_db_prep_value(value, connection)
