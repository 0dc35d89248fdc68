"""Writer and exporter of the audit log. Each entry is written in the transaction of the change that it records."""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from agents.models import Interrupt, Pause, ToolCall
from agents.policy import Denied, Verdict
from agents.services import Answer
from agents.state.interrupts import SYSTEM as SYSTEM
from core import spreadsheets
from core.text import canonical, shortened
from reviews.models import AuditEntry, PolicyRule

Verb = AuditEntry.Verb
Kind = AuditEntry.Kind
Fields = dict[str, Any]

FORMATS = ("csv", "jsonl")
COLUMNS = tuple(field.name for field in AuditEntry._meta.concrete_fields)
ACTOR_LENGTH = 150  # characters
CHUNK = 2000  # rows in memory at once
_SAID = (
    *("effect", "tool", "user", "agent", "session_id", "conditions", "starts_at", "ends_at", "use_limit", "position"),
    *("name", "reason", "risk", "deciders", "distinct", "seconds", "on_expiry", "allowed"),
)


def digest(text: str) -> str:
    """Return the SHA-256 (hex) of the text, keyed by SECRET_KEY to prevent guessing; "" for an empty text."""
    return salted_hmac("agentsite.audit", text, algorithm="sha256").hexdigest() if text else ""


def decided(review: Interrupt, answer: Answer, principal: User | None, override_reason: str = "") -> None:
    """Record that a review was decided, or that it expired if `principal` is None.

    The entry holds digests of the message and of the edited arguments, or of the requested ones if there was no edit.
    """
    verb = Verb.DECIDED if principal is not None else Verb.EXPIRED
    args = digest(answer.args_text or review.args_text)
    _of_review(verb, review, principal, outcome=answer.status, args_digest=args, text_digest=digest(answer.message))
    if override_reason:
        _of_review(Verb.OVERRIDDEN, review, principal, text_digest=digest(override_reason))


def claim(verb: Verb, review: Interrupt, principal: User) -> None:
    """Record that a review was claimed, taken over or released."""
    _of_review(verb, review, principal)


def rule(verb: Verb, changed: PolicyRule, principal: User) -> None:
    """Record that a rule was created or changed, with a digest of its present content."""
    said = canonical([str(getattr(changed, name)) for name in _SAID])
    _write(verb, Kind.RULE, changed.pk, principal, rule=changed.pk, args_digest=digest(said))


def let_through(row: ToolCall, rule_id: int) -> None:
    """Record that a rule alone let a call into the ledger, without a review."""
    about: dict[str, Any] = {
        "task": row.task_id,
        "rule": rule_id,
        "tool": row.tool,
        "args_digest": digest(row.args_text),
    }
    _write(Verb.LET_THROUGH, Kind.TOOL_CALL, row.pk, None, **about)


def denied(entry: Denied) -> bool:
    """Record that the policy denied a call (which has no ledger row). Return False if recorded before a crash."""
    if AuditEntry.objects.filter(object_id=str(entry.call), verb=Verb.DENIED).exists():
        return False
    about: dict[str, Any] = {
        "task": entry.task,
        "rule": entry.rule_id,
        "tool": entry.tool,
        "args_digest": digest(entry.args_text),
    }
    _write(Verb.DENIED, Kind.TOOL_CALL, entry.call, None, **about)
    return True


def pause(verb: Verb, changed: Pause, actor: str, principal: User | None) -> None:
    """Record that work was paused or resumed, with digests of the target and the reason.

    `actor` is recorded only if `principal` is None.
    """
    tool = changed.value if changed.scope == Pause.Scope.TOOL else ""
    about: Fields = {"tool": tool, "args_digest": digest(canonical([changed.scope, changed.value]))}
    _write(verb, Kind.PAUSE, changed.pk, principal, actor=actor, text_digest=digest(changed.reason), **about)


def exported(entries: QuerySet[AuditEntry], form: str) -> Iterator[str]:
    """Yield the entries, oldest first, as lines of CSV (with a header line) or JSON. `form` is one of FORMATS."""
    rows = entries.order_by("pk").values_list(*COLUMNS).iterator(chunk_size=CHUNK)
    if form == "csv":
        yield from spreadsheets.lines([COLUMNS])
        yield from spreadsheets.lines(map(_plain, row) for row in rows)
    else:
        for row in rows:
            yield json.dumps(dict(zip(COLUMNS, map(_plain, row), strict=True)), ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, int | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _of_review(verb: Verb, review: Interrupt, principal: User | None, **more: Any) -> None:
    verdict = Verdict.from_text(review.verdict_text)
    about: dict[str, Any] = {
        "task": review.task_id,
        "rule": verdict.rule_id,
        "tool": review.tool,
        "version": review.version,
    }
    _write(verb, Kind.REVIEW, review.pk, principal, **about, **more)


def _write(verb: Verb, kind: Kind, pk: Any, principal: User | None, *, actor: str = SYSTEM, **more: Any) -> None:
    actor_id = None
    if principal is not None:
        actor, actor_id = principal.get_username(), principal.pk
    who = shortened(actor, ACTOR_LENGTH)
    AuditEntry.objects.create(verb=verb, kind=kind, object_id=str(pk), actor=who, actor_id=actor_id, **more)
