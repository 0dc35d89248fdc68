"""Functions that add, replace, approve and forget memories. No other code writes `Memory.status`."""

import unicodedata
import uuid
from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from core.db.clock import Now
from core.errors import Conflict, Invalid, NotFound
from core.identifiers import identifier
from core.text import digest, storable
from memory.models import OPEN, TEXT_LIMIT, Memory

Status = Memory.Status

# to <- from. Nothing returns from history: the same text written again is a new memory.
SOURCES: dict[Status, tuple[Status, ...]] = {
    Status.ACTIVE: (Status.PENDING,),
    Status.SUPERSEDED: (Status.ACTIVE, Status.PENDING),
    Status.FORGOTTEN: (Status.ACTIVE, Status.PENDING, Status.SUPERSEDED),
}


def text_key(text: str) -> str:
    """Return a hash of the text that ignores differences in whitespace and final full stops.

    Upper and lower case count: "the code is aB3" corrects "the code is AB3".
    """
    return digest(" ".join(unicodedata.normalize("NFC", text).split()).rstrip(".。 "))


def add(
    user_id: str,
    text: str,
    *,
    source: Memory.Source,
    kind: Memory.Kind = Memory.Kind.FACT,
    scope: Memory.Scope = Memory.Scope.USER,
    scope_ref: str = "",
    key: str = "",
    source_task_id: uuid.UUID | None = None,
    trusted: bool,
) -> Memory:
    """Remember a text: active if trusted, otherwise pending until a person approves it.

    Writing the same text again (`text_key`; same user, scope and store key) returns the existing memory; if that is
    pending, a trusted write approves it. NULs and lone surrogates, which a model may write, are replaced.

    Args:
        scope_ref: the session_id or agent alias that a narrower scope belongs to.
        key: the name by which a LangGraph store finds it, unique among the user's active memories.
        source_task_id: the primary key of the task that it comes from.
        trusted: whether it comes from the client, a person, or a run that has read nothing from outside.

    Raises:
        Invalid: the text is blank or longer than 4,000 characters, or `user_id` can't be one.
    """
    try:
        place = {"user_id": identifier(user_id), "scope": scope, "scope_ref": scope_ref, "key": key}
    except ValueError as error:
        raise Invalid(errors={"user_id": [str(error)]}) from error
    values = {"source": source, "kind": kind, "source_task_id": source_task_id}
    return _written(place, _checked(text), values, trusted)


@transaction.atomic
def supersede(
    memory: Memory,
    text: str,
    *,
    source: Memory.Source,
    kind: Memory.Kind | None = None,
    source_task_id: uuid.UUID | None = None,
    trusted: bool,
) -> Memory:
    """Replace a memory with a new one and return it. The old one stays as history with its `valid_until`.

    If untrusted, the old one stays active until a person approves the new one. The same text and kind change nothing.

    Args:
        kind: kind of the new memory; None keeps the old one's.

    Raises:
        Invalid: the text is blank or longer than 4,000 characters.
        Conflict: the memory is history already; code `superseded` or `forgotten`.
        NotFound: it has been erased.
    """
    text = _checked(text)
    _refresh(memory)
    kind = kind or Memory.Kind(memory.kind)
    if memory.status in OPEN and text_key(text) == memory.text_key and kind == memory.kind:
        return approve(memory) if trusted else memory
    if memory.status not in OPEN or (trusted and not _move(memory, Status.SUPERSEDED, valid_until=Now())):
        raise _history(memory)
    place = {name: getattr(memory, name) for name in ("user_id", "scope", "scope_ref", "key")}
    values = {"source": source, "kind": kind, "source_task_id": source_task_id, "supersedes": memory}
    return _written(place, text, values, trusted)


@transaction.atomic
def approve(memory: Memory) -> Memory:
    """Activate a pending memory and make the memories that it replaces history. Approving twice has no further effect.

    Raises:
        Conflict: it is history; code `superseded` or `forgotten`.
        NotFound: it has been erased.
    """
    if memory.status == Status.PENDING:
        # The old one first, as in `supersede`: transactions that lock the same rows in opposite order can deadlock.
        replaced = Q(pk=memory.supersedes_id, status__in=OPEN) | (Q(key=memory.key, status=Status.ACTIVE) & ~Q(key=""))
        rows = Memory.objects.filter(replaced, user_id=memory.user_id).exclude(pk=memory.pk)
        rows.update(status=Status.SUPERSEDED, valid_until=Now(), updated_at=Now())
    if not _move(memory, Status.ACTIVE, valid_from=Now()) and memory.status != Status.ACTIVE:
        raise _history(memory)
    return memory


def reject(memory: Memory) -> Memory:
    """Reject a pending memory.

    Raises:
        Conflict: it is no longer pending; the code is its status.
        NotFound: it has been erased.
    """
    changed = _move(memory, Status.FORGOTTEN, only_from=(Status.PENDING,), valid_until=Now())
    if not changed and memory.status != Status.FORGOTTEN:
        raise _history(memory)
    return memory


def forget(memory: Memory) -> Memory:
    """Forget a memory, so that no agent recalls it. It stays as history until its user is erased. Raises NotFound."""
    _move(memory, Status.FORGOTTEN, valid_until=Now())
    return memory


def erase(user_id: str) -> int:
    """Delete all memories of a user for good, including history. Returns how many."""
    return Memory.objects.filter(user_id=user_id).delete()[0]


def erase_sessions(sessions: Collection[tuple[str, str]]) -> int:
    """Delete the memories scoped to these sessions (user_id, session_id), including history. Returns how many."""
    users, names = ({session[part] for session in sessions} for part in (0, 1))
    rows = Memory.objects.filter(user_id__in=users, scope=Memory.Scope.SESSION, scope_ref__in=names)
    gone = set(sessions)
    found = rows.values_list("pk", "user_id", "scope_ref")
    return Memory.objects.filter(pk__in=[pk for pk, *place in found if tuple(place) in gone]).delete()[0]


@transaction.atomic
def _written(place: dict[str, Any], text: str, values: dict[str, Any], trusted: bool) -> Memory:
    same = {**place, "text_key": text_key(text)}
    # Otherwise the same text again would return a memory that no agent can recall.
    Memory.objects.lapsed().filter(**same).update(status=Status.FORGOTTEN, updated_at=Now())
    status = Status.ACTIVE if trusted else Status.PENDING
    memory, created = Memory.objects.get_or_create(
        **same, status__in=OPEN, defaults={**values, "text": text, "status": status}
    )
    return approve(memory) if trusted and not created else memory


def _move(memory: Memory, to: Status, *, only_from: tuple[Status, ...] | None = None, **values: Any) -> bool:
    """Change the status and refresh the instance from the database. Returns whether this call changed the status."""
    rows = Memory.objects.filter(pk=memory.pk, status__in=only_from or SOURCES[to])
    changed = rows.update(status=to, updated_at=Now(), **values)
    _refresh(memory)
    return bool(changed)


def _history(memory: Memory) -> Conflict:
    texts = {
        Status.ACTIVE.value: _("This memory is already active."),
        Status.SUPERSEDED.value: _("This memory has been superseded."),
        Status.FORGOTTEN.value: _("This memory has been forgotten."),
    }
    return Conflict(texts.get(memory.status, ""), code=memory.status)


def _refresh(memory: Memory) -> None:
    try:
        memory.refresh_from_db()
    except Memory.DoesNotExist as error:
        raise NotFound from error


def _checked(text: str) -> str:
    text = str(storable(text))
    if not text.strip() or len(text) > TEXT_LIMIT:
        raise Invalid(
            errors={
                "text": [
                    _("A memory must have 1 to %(limit)s characters, and not only whitespace.") % {"limit": TEXT_LIMIT}
                ]
            }
        )
    return text
