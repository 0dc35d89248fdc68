"""Writes and exports the audit log. Each entry is made in the transaction of what it records."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from agents.models import Interrupt, Pause, ToolCall
from agents.policy import Denied, Verdict
from agents.services import Answer
from core.text import canonical, shortened
from reviews.models import AuditEntry, PolicyRule

Verb = AuditEntry.Verb
Kind = AuditEntry.Kind
Fields = dict[str, Any]

SYSTEM = "system"
FORMATS = ("csv", "jsonl")
COLUMNS = tuple(field.name for field in AuditEntry._meta.concrete_fields)
ACTOR_LENGTH = 150  # characters
CHUNK = 2000  # rows that are in memory at once
_SAID = (
    *("effect", "tool", "user", "agent", "session_id", "conditions", "starts_at", "ends_at", "use_limit", "position"),
    *("name", "reason", "risk", "deciders", "distinct", "seconds", "on_expiry", "allowed"),
)


def digest(text: str) -> str:
    """SHA-256 (hex) keyed by this installation's SECRET_KEY: who lacks it can't try out what the text was. "" of ""."""
    return salted_hmac("agentsite.audit", text, algorithm="sha256").hexdigest() if text else ""


def decided(review: Interrupt, answer: Answer, principal: User | None, override_reason: str = "") -> None:
    """A review was decided, by nobody where it expired; what runs, or was asked, and the text are kept as digests."""
    verb = Verb.DECIDED if principal is not None else Verb.EXPIRED
    args = digest(answer.args_text or review.args_text)
    _of_review(verb, review, principal, outcome=answer.status, args_digest=args, text_digest=digest(answer.message))
    if override_reason:
        _of_review(Verb.OVERRIDDEN, review, principal, text_digest=digest(override_reason))


def claim(verb: Verb, review: Interrupt, principal: User) -> None:
    """A review was claimed, taken over or released."""
    _of_review(verb, review, principal)


def rule(verb: Verb, changed: PolicyRule, principal: User) -> None:
    """A rule was made or changed; what it says now is kept as a digest."""
    said = canonical([str(getattr(changed, name)) for name in _SAID])
    _write(verb, Kind.RULE, changed.pk, principal, rule=changed.pk, args_digest=digest(said))


def let_through(row: ToolCall, rule_id: int) -> None:
    """A call was entered in the ledger on a rule's word alone."""
    about: dict[str, Any] = {
        "task": row.task_id,
        "rule": rule_id,
        "tool": row.tool,
        "args_digest": digest(row.args_text),
    }
    _write(Verb.LET_THROUGH, Kind.TOOL_CALL, row.pk, None, **about)


def denied(entry: Denied) -> bool:
    """The policy denied a call, which has no row of its own; False where that is written already, before a crash."""
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
    """Work was paused or resumed; what and why are kept as digests. `actor` is who it was where it is no user."""
    tool = changed.value if changed.scope == Pause.Scope.TOOL else ""
    about: Fields = {"tool": tool, "args_digest": digest(canonical([changed.scope, changed.value]))}
    _write(verb, Kind.PAUSE, changed.pk, principal, actor=actor, text_digest=digest(changed.reason), **about)


def exported(entries: QuerySet[AuditEntry], form: str) -> Iterator[str]:
    """The entries, oldest first, as lines of CSV (with a first line of names) or of JSON: one of FORMATS."""
    rows = entries.order_by("pk").values_list(*COLUMNS).iterator(chunk_size=CHUNK)
    if form == "csv":
        yield from _csv([COLUMNS])
        yield from _csv(rows)
    else:
        for row in rows:
            yield json.dumps(dict(zip(COLUMNS, map(_plain, row), strict=True)), ensure_ascii=False) + "\n"


class _Line:
    """A file for csv.writer that hands back what is written."""

    def write(self, text: str) -> str:
        return text


def _csv(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow([_inert(_plain(value)) for value in row])


def _inert(value: Any) -> Any:
    """A spreadsheet would take a name such as `@x` or `-x` for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


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
