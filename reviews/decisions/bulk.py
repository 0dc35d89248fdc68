"""Bulk decisions on reviews of one tool: which of the chosen ones can be decided, and the outcome."""

import contextlib
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from agents.models import Interrupt
from core.errors import AgentsiteError
from reviews.decisions import permissions, services
from reviews.models import SOONEST_FIRST, Review

LIMIT = 100  # reviews at once: each is read before it is decided, and decided in its own transaction


@dataclass(frozen=True)
class Selection:
    """Chosen reviews that can be decided, and counts of the others."""

    rows: list[Review] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)  # number by reason
    tools: list[str] = field(default_factory=list)

    @property
    def is_mixed(self) -> bool:
        """Return whether the selection holds calls of several tools."""
        return len(self.tools) > 1


@dataclass(frozen=True)
class Seen:
    """Review in the version that was listed."""

    pk: str
    version: str
    digest: str

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "list[Seen]":
        """Return at most LIMIT of the reviews that a form lists. Malformed texts are left out."""
        parted = (text.split(":") for text in texts)
        return [cls(*parts) for parts in parted if len(parts) == 3][:LIMIT]


@dataclass
class Outcome:
    """Result of a bulk decision."""

    decided: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


def select(principal: Any, kind: str, pks: Iterable[Any]) -> Selection:
    """Select those of these reviews that the principal can decide this way.

    The reviews are read again without the list's filters, which would hide those that have changed.
    """
    found = permissions.visible(principal).filter(pk__in=_keys(pks)).order_by(*SOONEST_FIRST)
    rows, left_out = [], Counter[str]()
    for row in found:
        if reason := why_not(principal, kind, row):
            left_out[reason] += 1
        else:
            rows.append(row)
    if len(rows) > LIMIT:
        left_out[_("over the limit of %(limit)s at once") % {"limit": LIMIT}] = len(rows) - LIMIT
    return Selection(rows[:LIMIT], left_out, sorted({row.tool for row in rows}))


def why_not(principal: Any, kind: str, review: Review) -> str:
    """Return why this review can't be decided together with others; "" if it can."""
    if review.status != Interrupt.Status.PENDING:
        return _("already decided")
    if review.kind != Interrupt.Kind.TOOL_CALL:
        return _("not a plain tool call: decide it individually")
    if review.risk == "high":
        return _("high risk: decide it individually")
    if kind not in services.allowed_for(principal, review):
        return _("its terms do not allow you to decide it this way")
    return ""


def decide(principal: Any, choice_of: Any, kind: str, chosen: list[Seen]) -> Outcome:
    """Decide each review in the version that was listed. Skip those decided in the meantime or not permitted.

    Args:
        choice_of: returns the `services.Choice` for a version.
    """
    outcome = Outcome()
    rows = {str(row.pk): row for row in permissions.visible(principal).filter(pk__in=_keys(seen.pk for seen in chosen))}
    if len({row.tool for row in rows.values()}) > 1:
        outcome.skipped[_("calls of several tools")] = len(chosen)
        return outcome
    for seen in chosen:
        reason = _decide_one(principal, choice_of, kind, rows.get(seen.pk), seen)
        if reason:
            outcome.skipped[reason] += 1
        else:
            outcome.decided += 1
    return outcome


def _decide_one(principal: Any, choice_of: Any, kind: str, row: Review | None, seen: Seen) -> str:
    """Decide one review. Returns why it was skipped; "" if it was not."""
    if row is None:
        return _("no longer exists")
    if reason := why_not(principal, kind, row):
        return reason
    if (str(row.version), row.args_digest) != (seen.version, seen.digest):
        return _("changed since it was listed")
    try:
        decided = services.decide(row.pk, principal, choice_of(row.version))
    except AgentsiteError as error:
        return error.detail
    # `decide` accepts the same decision made by somebody else in the meantime, but that one does not count as ours.
    return "" if decided.answered_by == principal.get_username() else _("already decided")


def _keys(texts: Iterable[Any]) -> list[uuid.UUID]:
    """Return the keys among the texts, leaving out those that are no UUID."""
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            found.append(uuid.UUID(str(text)))
    return found
