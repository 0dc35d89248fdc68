"""Services that pause and resume work, for the admin, REST, the command line and the pause file: only writer of Pause.

The audit log records each change with its actor and a digest of its reason. `agents.pauses` applies pauses to tasks.
"""

import logging
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from agents import pause_file, pauses
from agents.models import Measure, Pause
from agents.models.pauses import NAME_LENGTH, VALUE_LENGTH
from agents.observability import metrics
from agents.state import holds
from core.auth.principals import VIEW_SYSTEM
from core.db.clock import Now, seconds_from_now
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.identifiers import identifier
from core.text import canonical, is_storable, shortened
from reviews.audit import log
from reviews.models import AuditEntry

logger = logging.getLogger(__name__)

PAUSE_WORK = "agents.pause_work"
VIEW = "agents.view_pause"
REASON_LENGTH = 1000  # characters
SEEN = 60.0  # seconds for which a pause file counts as present after a worker has seen it
Scope = Pause.Scope
Verb = AuditEntry.Verb


class HeldByFile(Conflict):
    """Error for an attempt to lift a pause that a file still requests."""

    default_detail = gettext_noop("This pause is set by a file on a worker's host. To lift it, delete that file.")
    code = "held_by_file"


@dataclass(frozen=True)
class Actor:
    """User or host that pauses or resumes work."""

    name: str
    user: User | None = None

    @classmethod
    def of(cls, user: User) -> "Actor":
        """Return the actor for an authenticated user."""
        return cls(user.get_username(), user)


def may_see(principal: Any) -> bool:
    """Return whether the principal may see all pauses with their reasons."""
    return any(map(principal.has_perm, (PAUSE_WORK, VIEW, VIEW_SYSTEM)))


def require_to_pause(principal: Any) -> None:
    """Raise NotAllowed unless the principal may pause and resume work."""
    if not principal.has_perm(PAUSE_WORK):
        raise NotAllowed(_("You don't have permission to pause or resume work."))


def checked(scope: str, value: str, reason: str) -> tuple[str, str, str]:
    """Return the three values as they are stored. Raises Invalid with the errors of each.

    An agent must be in AGENTS, because a typo would be mistaken for a working pause. A tool need not be known: the web
    process loads no tools, those of servers come and go, and a tool can be paused before it exists. A user need not be
    known either.
    """
    wrong: dict[str, list[str]] = {}
    value, reason = value.strip(), reason.strip()
    if scope not in Scope.values:
        wrong["scope"] = [_("Must be one of %(names)s.") % {"names": ", ".join(Scope.values)}]
    elif (error := _wrong_value(scope, value)) is not None:
        wrong["value"] = [error]
    if not reason:
        wrong["reason"] = [_("Enter a reason.")]
    elif len(reason) > REASON_LENGTH:
        wrong["reason"] = [_("At most %(limit)s characters.") % {"limit": REASON_LENGTH}]
    elif not is_storable(reason):
        wrong["reason"] = [_("The text contains a character that can't be stored.")]
    if wrong:
        raise Invalid(errors=wrong)
    return scope, identifier(value) if scope == Scope.USER else value, reason


def _wrong_value(scope: str, value: str) -> str | None:
    if scope == Scope.EVERYTHING:
        return _("Leave the name empty to pause everything.") if value else None
    if not value:
        return _("Enter a name.")
    if scope == Scope.USER:
        try:
            identifier(value)
        except ValueError as error:
            return str(error)
    if scope == Scope.AGENT and value not in settings.AGENTS:
        names = ", ".join(sorted(settings.AGENTS))
        return _("There is no such agent. Available agents: %(names)s.") % {"names": names}
    if len(value) > VALUE_LENGTH:
        return _("At most %(limit)s characters.") % {"limit": VALUE_LENGTH}
    return None if is_storable(value) else _("The text contains a character that can't be stored.")


def pause(scope: str, value: str, reason: str, actor: Actor) -> tuple[Pause, bool]:
    """Pause the scope, then wait for calls that are being recorded in the ledger and may not have seen the pause.

    Returns the pause and whether it is new; an existing pause is left unchanged. Raises Invalid.
    """
    scope, value, reason = checked(scope, value, reason)
    with transaction.atomic():
        found, is_new = _begin(scope, value, reason, actor)
    pauses.settle()
    return found, is_new


def resume(pk: uuid.UUID, actor: Actor) -> Pause:
    """Lift the pause, so that tasks held by no other pause continue. A lifted pause is left unchanged.

    Raises:
        NotFound: there is no such pause.
        HeldByFile: the pause is in a file that a worker has seen in the last SEEN seconds.
    """
    found = Pause.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound(_("There is no such pause."))
    if found.source and Pause.objects.filter(pk=pk, lifted_at=None, seen_at__gt=seconds_from_now(-SEEN)).exists():
        raise HeldByFile
    with transaction.atomic():
        _lift(found, actor)
    found.refresh_from_db()
    return found


def mirror(found: pause_file.Found) -> None:
    """Update the pauses of this data folder to match its pause file."""
    actor = Actor(shortened(f"system:{found.host}", NAME_LENGTH))
    rows = {(row.scope, row.value): row for row in Pause.objects.filter(lifted_at=None, source=found.source)}
    asked = {(one.scope, one.value): one.reason for one in found.wanted}
    for key, reason in asked.items():
        row = rows.get(key)
        if row is not None and row.reason == reason:
            continue
        with transaction.atomic():
            if row is None:
                _begin(*key, reason, actor, source=found.source)
            elif Pause.objects.filter(pk=row.pk, lifted_at=None).exclude(reason=reason).update(reason=reason):
                row.reason = reason
                log.pause(Verb.PAUSED, row, actor.name, None)
    for key in rows.keys() - asked.keys():
        with transaction.atomic():
            _lift(rows[key], actor)
    if asked:
        Pause.objects.filter(lifted_at=None, source=found.source).update(seen_at=Now())


def known_tool(name: str) -> bool:
    """Return whether the metrics have ever counted a call of a tool with this name."""
    calls = Measure.objects.filter(name=metrics.TOOL_CALLS.name)
    return calls.filter(labels__startswith=canonical([name])[:-1] + ",").exists()


def of_user(user_id: str) -> QuerySet[Pause]:
    """Return the pauses that name this user, including lifted ones."""
    return Pause.objects.filter(scope=Scope.USER, value=user_id)


def erase(user_id: str) -> None:
    """Lift and delete the pauses of this user. Their audit entries remain."""
    for found in of_user(user_id).filter(lifted_at=None):
        with transaction.atomic():
            _lift(found, Actor(log.SYSTEM))
    of_user(user_id).delete()


def _begin(scope: str, value: str, reason: str, actor: Actor, source: str = "") -> tuple[Pause, bool]:
    """Create the pause and its audit entry in the caller's transaction. Of two concurrent calls, one creates it."""
    found, is_new = Pause.objects.get_or_create(
        scope=scope,
        value=value,
        source=source,
        lifted_at=None,
        defaults={"reason": reason, "by": actor.user, "by_name": actor.name},
    )
    if is_new:
        found.refresh_from_db()
        log.pause(Verb.PAUSED, found, actor.name, actor.user)
        logger.warning("paused by %s: %s (pause %s)", actor.name, found.in_logs, found.pk)
    return found, is_new


def _lift(found: Pause, actor: Actor) -> None:
    """Lift the pause and record it in the caller's transaction. Of two concurrent calls, one lifts it."""
    rows = Pause.objects.filter(pk=found.pk, lifted_at=None)
    if rows.update(lifted_at=Now(), lifted_by_name=actor.name):
        log.pause(Verb.RESUMED, found, actor.name, actor.user)
        logger.warning("resumed by %s: %s (pause %s)", actor.name, found.in_logs, found.pk)
        transaction.on_commit(partial(holds.go_on, found), robust=True)
