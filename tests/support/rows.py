"""Rows as the database has them, and how they differ: for tests that say what a function writes, to the column."""

from typing import Any

from django.db.models import DateTimeField, Model

from agents.models import Attempt, Interrupt, Task, ToolCall
from agents.policy import Terms, Verdict
from agents.state import interrupts

LONG_AGO = "2001-02-03T04:05:06Z"  # every time that is stored, so that one which is written anew can be told from it
MODELS: tuple[type[Model], ...] = (Task, Attempt, Interrupt, ToolCall)
VERDICT = Verdict("review", "test", Terms()).to_text()
SET, UNSET = "set now", "unset"  # in place of a time that was written

Rows = dict[tuple[str, Any], dict[str, Any]]


def picture(*models: type[Model]) -> Rows:
    """Every column of every row of these models, by default of all that have a status, and of attempts.

    But for the count of a task's events: tests/agents/test_events.py and the state machine see that each is told.
    """
    return {
        (model.__name__, row["pk"]): row
        for model in models or MODELS
        for row in model._default_manager.values("pk", *_columns(model))
    }


def _columns(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if field.attname != "last_seq"]


def differences(before: Rows, after: Rows) -> Rows:
    """What was written, by row: the new value of each column that is another, {} for a row that is gone.

    A time reads SET or UNSET. A row that is new has all of its columns.
    """
    found: Rows = {key: {} for key in before.keys() - after.keys()}
    for key, row in after.items():
        old = before.get(key, {})
        written = {name: _told(value) for name, value in row.items() if name not in old or old[name] != value}
        if written:
            found[key] = written
    return found


def _told(value: Any) -> Any:
    is_time = hasattr(value, "tzinfo")
    return SET if is_time else UNSET if value is None else value


def make_old() -> None:
    """Every time that is stored was long ago, so that each one that is written shows."""
    for model in MODELS:
        for field in model._meta.concrete_fields:
            if isinstance(field, DateTimeField):
                model._default_manager.exclude(**{field.attname: None}).update(**{field.attname: LONG_AGO})


def question(task: Task, call_id: str, kind: str = "tool_call", **more: Any) -> Interrupt:
    """A question about the call `call_id`, as a run asks it: not stored yet."""
    digest = interrupts.digest_of(task.pk, "charge", "{}", VERDICT)
    fields = {"args_text": "{}", "verdict_text": VERDICT, "args_digest": digest, "tool": "charge", **more}
    return Interrupt(task=task, kind=kind, message_id="m", tool_call_id=call_id, graph_id=call_id, **fields)


def answered(asked: Interrupt, kind: str = "approved") -> interrupts.Answer:
    """A person's answer that leads to this status."""
    types: dict[str, Any] = {"approved": "accept", "edited": "edit", "responded": "response"}
    return interrupts.Answer(types.get(kind, "reject"), kind, "rita", digest=asked.args_digest)
