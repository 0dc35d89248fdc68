"""Page "Console": a session of a user, live. All that it does, its scripts do by the REST API as the same user."""

import json
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from agentsite.console.session_texts import texts
from core import marks
from core.auth.principals import ACT_FOR_ANY_USER, may_act_for
from core.identifiers import identifier
from reviews.decisions import permissions

USE = "agents.use_console"


def page(request: HttpRequest) -> HttpResponse:
    """Show the console for `?user=` (by default oneself) and `?session=` (by default a new one).

    Raises:
        PermissionDenied: the caller may not use the console, or not for this user.
        Http404: one of the ids can't exist.
    """
    principal: Any = request.user
    own = principal.get_username()
    user_id, session_id = request.GET.get("user") or own, request.GET.get("session") or ""
    if not principal.has_perm(USE) or not may_act_for(principal, user_id):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": _("Console"),
        "user_id": _existing(user_id),
        "session_id": _existing(session_id) if session_id else "",
        "any_user": principal.has_perm(ACT_FOR_ANY_USER),
        "agents": list(settings.AGENTS),
        "may_open_reviews": principal.has_perm(permissions.DECIDE) or principal.has_perm(permissions.VIEW),
        "texts": json.dumps(texts()),
        "blanks": json.dumps(marks.phrases()),
    }
    return TemplateResponse(request, "agentsite/console.html", context)


def may_use(principal: Any) -> bool:
    """Return whether the principal may open the console."""
    return bool(principal.is_active and principal.has_perm(USE))


def _existing(text: str) -> str:
    """Return an id in its stored form. Raises Http404."""
    try:
        return identifier(text)
    except ValueError as error:
        raise Http404 from error
