"""Contents of the review page, as plain values."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agents.api import history
from agents.models import Interrupt, ToolCall
from agents.policy import Verdict
from core import marks
from core.text import readable
from reviews.console import budget_facts, diff, outcome
from reviews.decisions import permissions
from reviews.decisions.claims import held
from reviews.models import Decision, Review
from reviews.policy import rules

EARLIER = 5  # earlier tasks of the session that are shown before the review's own
LONG = 2_000  # characters of arguments above which the page shows a notice at its top
PAST = 5  # past decisions on the same tool to show


@dataclass(frozen=True)
class Event:
    """Event in a review's timeline."""

    at: datetime | None
    what: str
    by: str = ""


def claims(reviews: Iterable[Interrupt]) -> dict[Any, str]:
    """Return the usernames of those who have claimed these reviews, by the review's key, in one query."""
    return {key: claim.by.get_username() for key, claim in held(reviews).items()}


def claim_address(review: Interrupt) -> str:
    """Return the address at which the open page claims the review; empty unless the review is pending."""
    open_ = review.status == Interrupt.Status.PENDING
    return reverse("claim-review", args=[review.pk]) if open_ else ""


def arguments(review: Interrupt) -> list[tuple[str, str]]:
    """Return the arguments by name, each as the text that the tool gets, or what a review about a budget is about."""
    if review.kind == Interrupt.Kind.BUDGET:
        return budget_facts.facts(review)
    args = review.args
    return [(name, written(value)) for name, value in args.items()] if isinstance(args, dict) else [("", written(args))]


def line(review: Interrupt) -> str:
    """Return the arguments as one text of any length, without nulls at any depth."""
    if review.kind == Interrupt.Kind.BUDGET:
        return ", ".join(f"{name}: {value}" for name, value in budget_facts.facts(review))
    args = _without_nulls(review.args)
    if isinstance(args, dict):
        return ", ".join(f"{name}: {readable(value)}" for name, value in args.items())
    return readable(args)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def written(value: Any) -> str:
    """Return a string as it is, and any other value as indented JSON."""
    return readable(value, indent=2)


def conversation(review: Interrupt) -> list[tuple[str, str]]:
    """Return speakers and texts in the session: its last ended tasks, then the review's task up to its question."""
    task = review.task
    said = [(one["type"], history.text_of(one, indent=2)) for one in history.before(task, EARLIER)]
    said.append(("human", task.query))
    for call in ToolCall.objects.filter(task=task, started_at__lt=review.created_at).order_by("started_at"):
        if call.tool_call_id != review.tool_call_id:
            said += [("ai", f"{call.tool}({written(call.args)})"), ("tool", result(call))]
    said.append(("ai", review.said))
    return [(who, text) for who, text in said if text]


def _is_overdue(review: Interrupt) -> bool:
    at = review.expires_at
    return review.status == Interrupt.Status.PENDING and at is not None and at <= timezone.now()


def changes(review: Interrupt) -> list[diff.Difference]:
    """Return what an edit changed; empty if nothing was edited."""
    if not review.answer_args_text or review.kind == Interrupt.Kind.BUDGET:
        return []
    return diff.between(review.args, json.loads(review.answer_args_text))


def past(review: Interrupt, principal: Any) -> list[Decision]:
    """Return the last decisions on the same tool that the principal may see."""
    if not review.tool:
        return []
    # Begins with the answered reviews of the tool, in the order of an index, and not with all decisions.
    seen = permissions.visible(principal).filter(tool=review.tool, decisions__isnull=False, answered_at__isnull=False)
    newest = seen.exclude(pk=review.pk).order_by("-answered_at").values_list("pk", flat=True)[:PAST]
    found = Decision.objects.filter(review__in=list(newest)).select_related("review__task__session")
    return list(found.order_by("-created_at"))


def timeline(review: Interrupt, call: ToolCall | None, claimed_by: str | None) -> list[Event]:
    """Return the events so far: asked, claimed, decided, ran, ended."""
    events = [Event(review.created_at, _("requested by the agent"))]
    if claimed_by:
        events.append(Event(None, _("claimed"), claimed_by))
    if review.answered_at:
        events.append(Event(review.answered_at, review.get_status_display().lower(), review.answered_by))
    if call is not None:
        events.append(Event(call.started_at, _("call started")))
        if call.finished_at:
            ended = {ToolCall.Status.FAILED.value: _("failed")}.get(call.status, _("returned a result"))
            events.append(Event(call.finished_at, ended))
    # Sorted, because a call in doubt started before its review was requested.
    return sorted(events, key=lambda event: (event.at is None, event.at or review.created_at))


def result(call: ToolCall | None) -> str:
    """Return the tool's result as text; empty without a call."""
    return written(call.result) if call is not None else ""


def phrases() -> dict[str, str]:
    """Return the texts for scripts, in the reader's language; %(n)s stands for a number."""
    return {
        "blanks": json.dumps(marks.phrases()),
        "approve_one": ngettext("Approve with %(n)s change", "Approve with %(n)s changes", 1),
        "approve_many": ngettext("Approve with %(n)s change", "Approve with %(n)s changes", 2),
        "left_out": _("(left out)"),
        "draft": _("Your earlier input was restored."),
        "kept": _("Your unsent input"),
    }


def context(review: Review, principal: Any) -> dict[str, Any]:
    """Return everything that the template needs from the review itself."""
    verdict = Verdict.from_text(review.verdict_text)
    call = ToolCall.objects.filter(
        task=review.task_id, message_id=review.message_id, tool_call_id=review.tool_call_id
    ).first()
    holder = claims([review]).get(review.pk)
    claimed_by = None if holder == principal.get_username() else holder
    return {
        "review": review,
        "session": review.task.session,
        "arguments": arguments(review),
        "conversation": conversation(review),
        "changes": changes(review),
        "rule": verdict.rule,
        "terms": verdict.terms,
        "decision": Decision.objects.filter(review=review).first(),
        "decided_by_reader": bool(review.answered_by) and review.answered_by == principal.get_username(),
        "in_doubt": review.kind == Interrupt.Kind.IN_DOUBT,
        "of_budget": review.kind == Interrupt.Kind.BUDGET,
        "extended_by": budget_facts.extended_by(review),
        "claimed_by": claimed_by,
        "is_mine": holder is not None and not claimed_by,
        "always_rule": rules.rule_of(review) if review.status != Interrupt.Status.PENDING else None,
        "claim_address": "" if claimed_by else claim_address(review),
        "past": [(one, line(one.review)) for one in past(review, principal)],
        "timeline": timeline(review, call, claimed_by),
        "result": result(call),
        "outcome": outcome.of(review, call),
        "length": marks.length(review.args_text),
        "is_long": len(review.args_text) > LONG,
        "is_overdue": _is_overdue(review),
        "phrases": phrases(),
    }
