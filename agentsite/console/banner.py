"""Banner on every page of the admin while a pause is in force."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from agents.models import Pause
from agents.pauses import active
from core.text import shortened, visible
from reviews import pauses

SHOWN = 5  # pauses; of the rest only the number is shown
LENGTH = 120  # characters of a reason
Scope = Pause.Scope


def banner(request: HttpRequest) -> dict[str, Any] | None:
    """Return the pauses in force, or None when there are none or the user is not staff.

    Paused users, authors, reasons and links are left out for users who may not see pauses.
    """
    if not (request.user.is_active and getattr(request.user, "is_staff", False)):
        return None
    found = list(active())
    if not found:
        return None
    may_see = pauses.may_see(request.user)
    return {
        "pauses": [_shown(row, may_see) for row in found[:SHOWN]],
        "more": len(found) - len(found[:SHOWN]),
        "url": reverse("admin:agents_pause_changelist") if may_see else "",
    }


def _shown(row: Pause, may_see: bool) -> dict[str, Any]:
    name = {"name": visible(row.value)}
    says = {
        Scope.EVERYTHING: _("Everything is paused"),
        Scope.AGENT: _("The agent %(name)s is paused") % name,
        Scope.TOOL: _("The tool %(name)s is paused") % name,
        Scope.USER: (_("The user %(name)s is paused") % name) if may_see else _("A user is paused"),
    }
    return {
        "says": says[Scope(row.scope)],
        "since": row.created_at,
        "by": visible(row.by_name) if may_see else "",
        "reason": visible(shortened(" ".join(row.reason.split()), LENGTH)) if may_see else "",
        "url": reverse("admin:agents_pause_change", args=[row.pk]) if may_see else "",
    }
