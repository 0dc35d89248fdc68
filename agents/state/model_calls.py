"""Record of model calls: a call is entered before its request leaves, and closed with what its answer reports.

Only this module and `maintenance.usage` write the outcome of a model call. Both statements are SQL, because every call
makes them.
"""

import logging
import uuid
from typing import Any

from django.db import connection

from agents.models import Attempt, ModelCall
from agents.state.tasks import StaleAttempt
from agents.usage import prices
from agents.usage.tokens import NOTHING, Tokens
from core.text import shortened, storable, visible

logger = logging.getLogger(__name__)

Outcome = ModelCall.Outcome

# No lock on the attempt: a call that begins while the attempt ends is recorded, because it is sent.
_ENTER = f"""
    INSERT INTO agents_modelcall
        (id, task_id, user_id, session_id, agent, attempt, model, step, outcome, repeats)
    SELECT {{uuid}}, {{uuid}}, {{text}}, {{text}}, {{text}}, {{number}}, {{text}}, {{text}}, '{Outcome.STARTED}',
        EXISTS (SELECT 1 FROM agents_modelcall WHERE task_id = {{uuid}} AND step = {{text}})
    WHERE EXISTS (SELECT 1 FROM agents_attempt WHERE id = {{uuid}} AND ended_at IS NULL)
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
_SQL = {
    vendor: (_ENTER.format(**places), _CLOSE.format(**places))
    for vendor, places in (("postgresql", _POSTGRESQL), ("sqlite", _SQLITE))
}


def enter(attempt: Attempt, model: str, step: str) -> ModelCall:
    """Enter a call that is about to be sent, as a repeat if the task has another one of the same step.

    Raises StaleAttempt if the attempt is over. Then nothing is entered, and the request must not be sent.

    Args:
        model: the model's name, as the request has it.
        step: identifies what the call is for; a later attempt at the same step has the same.
    """
    task = attempt.task
    name = shortened(visible(storable(model)), ModelCall._meta.get_field("model").max_length or 0)
    row = ModelCall(
        task_id=task.pk,
        user_id=task.user_id,
        session_id=task.session.session_id,
        agent=task.agent,
        attempt=attempt.token,
        model=name,
        step=step,
    )
    values = [_id(row.pk), _id(task.pk), row.user_id, row.session_id, row.agent, row.attempt, row.model, row.step]
    with connection.cursor() as cursor:
        cursor.execute(_SQL[connection.vendor][0], [*values, _id(task.pk), row.step, _id(attempt.pk)])
        if not cursor.rowcount:
            raise StaleAttempt
    return row


def close(row: ModelCall, outcome: Outcome, seconds: float, tokens: Tokens = NOTHING) -> bool:
    """Record how the call ended and what it cost. Returns False if it was already closed.

    An attempt that is over may do so too, because its call has cost money all the same.
    """
    price = prices.price_of(row.model)
    row.outcome, row.seconds = outcome, seconds
    row.input_tokens, row.cached_tokens = tokens.input, tokens.cached
    row.output_tokens, row.reasoning_tokens = tokens.output, tokens.reasoning
    row.cost = None if price is None else price.of(tokens)
    cost = ModelCall._meta.get_field("cost").get_prep_value(row.cost)
    counts = [tokens.input, tokens.cached, tokens.output, tokens.reasoning]
    with connection.cursor() as cursor:
        cursor.execute(_SQL[connection.vendor][1], [str(outcome), *counts, seconds, cost, _id(row.pk)])
        closed = bool(cursor.rowcount)
    if not closed:
        logger.warning("model call %s: its answer came too late, it counts as unknown", row.pk)
    return closed


def _id(value: uuid.UUID) -> Any:
    return ModelCall._meta.pk.get_db_prep_value(value, connection)
