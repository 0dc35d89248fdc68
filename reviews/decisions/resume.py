"""Service behind `/agent/resume`: decisions on the questions of one task, all of them or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext_noop

from agents.models import Interrupt, Task
from agents.state import sessions
from agents.state.tasks import NO_TASK
from core.errors import Conflict, Invalid, NotFound
from reviews.decisions import services

NAMED = (Interrupt.Kind.IN_DOUBT, Interrupt.Kind.BUDGET)  # kinds that may come after any request was sent
REJECTS = tuple(name for name, kind in services.SPELLINGS.items() if kind == "reject")


class WhichInterrupt(Conflict):
    """Error for an answer that has to name its question."""

    default_detail = gettext_noop(
        "This task has asked more than one question. Specify the interrupt_id of the one you are answering."
    )
    code = "which_interrupt"


class NotInterrupted(Conflict):
    """Error for an answer to a task without questions."""

    default_detail = gettext_noop("This task has not asked a question.")
    code = "not_interrupted"


@dataclass(frozen=True)
class Addressed:
    """Choice and the interrupt that it answers; None: the only one."""

    interrupt_id: str | None
    choice: services.Choice


def resume(task: Task, principal: User, decisions: Sequence[Addressed]) -> None:
    """Decide these questions of the task in one transaction.

    Raises:
        NotFound: the task was deleted in the meantime.
        NotInterrupted, WhichInterrupt: there is no question, or the request has to name one.
        Invalid: the task has no interrupt with this id.
        and what `reviews.decisions.services.decide` raises.
    """
    with transaction.atomic():
        if any(one.choice.response_type in REJECTS for one in decisions):
            sessions.lock(task.session_id)  # before the task: a budget's refusal cancels it
        if not Task.objects.select_for_update(no_key=True).filter(pk=task.pk).exists():
            raise NotFound(NO_TASK)
        asked = list(Interrupt.objects.filter(task=task).order_by("created_at", "pk"))
        for decision in decisions:
            services.decide(_meant(asked, decision.interrupt_id), principal, decision.choice)


def _meant(asked: list[Interrupt], interrupt_id: str | None) -> Any:
    if not asked:
        raise NotInterrupted
    if interrupt_id is not None:
        found = next((row for row in asked if str(row.pk) == interrupt_id), None)
        if found is None:
            raise Invalid(errors={"interrupt_id": ["This task has no such interrupt."]})
        return found.pk
    # A repeated request must never answer a question that its sender has not seen.
    if len(asked) > 1 or asked[0].kind in NAMED:
        pending = [str(row.pk) for row in asked if row.status == Interrupt.Status.PENDING]
        raise WhichInterrupt(open_interrupts=pending)
    return asked[0].pk
