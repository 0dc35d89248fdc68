"""Outcome of a call after it was decided, if the decision alone would mislead a reader."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from agents.models import FINAL, Interrupt, Status, Task, ToolCall

LET_RUN = (Interrupt.Status.APPROVED, Interrupt.Status.EDITED)


@dataclass(frozen=True)
class Outcome:
    """One sentence for the review's page."""

    text: str
    is_bad: bool  # it failed, never ran, or its outcome is unknown
    detail: str = ""  # the error that the task's client gets
    review: Any = None  # the key of the follow-up review


def of(review: Interrupt, call: ToolCall | None) -> Outcome | None:
    """Return the outcome of a decided call, or None if it ran and gave its result or was not approved."""
    if review.status not in LET_RUN or review.kind in (Interrupt.Kind.QUESTION, Interrupt.Kind.BUDGET):
        return None
    if call is None:
        return _never_ran(review)
    if call.status == ToolCall.Status.FAILED:
        return Outcome(_("The call failed and did not take effect."), True)
    if call.status != ToolCall.Status.STARTED:
        return None
    doubt = _later(review, Interrupt.Kind.IN_DOUBT)
    if doubt is not None or call.doubtful:
        text = _("The call was started, but it is unknown whether it took effect.")
        return Outcome(text, True, review=doubt.pk if doubt else None)
    if review.task.status == Status.RUNNING:
        return Outcome(_("The call is running."), False)
    return Outcome(_("The call has started and not finished yet."), True, detail=review.task.message)


def _never_ran(review: Interrupt) -> Outcome:
    task = Task.objects.get(pk=review.task_id)  # as it is now: the review may have been read before its decision
    if again := _later(review, review.kind):
        return Outcome(_("The call has not run. A new review was requested."), True, review=again.pk)
    if review.used_at is not None:
        text = _("The call never ran: the policy or the tool's own checks refused it before it started.")
        return Outcome(text, True)
    if task.status in FINAL:
        text = _("The call never ran: its task ended first (%(status)s).") % {"status": task.get_status_display()}
        return Outcome(text, True, detail=task.message)
    return Outcome(_("The call has not run yet."), False)


def _later(review: Interrupt, kind: str) -> Interrupt | None:
    """Return the newest other question of this kind about the same call; of the review's own kind, a later round."""
    same = Interrupt.objects.filter(
        task=review.task_id, message_id=review.message_id, tool_call_id=review.tool_call_id, kind=kind
    ).exclude(pk=review.pk)
    if review.kind == kind:
        same = same.filter(round__gt=review.round)
    return same.order_by("-round").first()
