"""What a call would do, in its tool's own words, for arguments that a reviewer has edited.

The preview that stands on a review was computed in the worker from the arguments that were asked. It says nothing about
others, so it is never shown beside them: the tool's declaration is asked again, here, or nothing is shown.
"""

import copy
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

from agents.models import Interrupt
from agents.policy import declaration_of
from core.errors import Invalid
from core.text import same, storable
from reviews.decisions import edits

logger = logging.getLogger(__name__)

AT_ONCE = 4  # previews that are computed in one process; a tool that never answers keeps its place
_places = threading.BoundedSemaphore(AT_ONCE)


def of_edit(review: Interrupt, given: Any) -> str | None:
    """What the call would do with these arguments; empty where they don't fit the tool or it can't tell.

    None where the tool has not answered in time, as when the first one has to be imported: it may do so when asked
    again.
    """
    if review.kind != Interrupt.Kind.TOOL_CALL or not review.tool:
        return ""
    try:
        args = edits.edited(review, given)
    except Invalid:
        return ""
    if same(args, review.args):
        return review.description
    return _within(settings.PREVIEW_SECONDS, lambda: _computed(review, args))


def of_decided(review: Interrupt) -> str:
    """The preview of what was asked, where that is what was decided; an edit's own is not kept."""
    return "" if review.status == Interrupt.Status.EDITED else review.description


def _computed(review: Interrupt, args: dict[str, Any]) -> str:
    # LangChain comes with the registry: the web process imports it when the first edit needs it, and not before.
    tool = import_string("agents.runtime.registry.agent")(review.task.agent).tool(review.tool)
    preview = declaration_of(tool).preview
    if preview is None:
        return str(storable(tool.description)) if tool is not None else ""
    return str(storable(preview(copy.deepcopy(args))))


def _within(seconds: float, work: Callable[[], str]) -> str | None:
    """The result of the work in a thread of its own, as a tool's code may hang; None where it does not come in time."""
    deadline = time.monotonic() + seconds
    if seconds <= 0:
        return ""
    if not _places.acquire(timeout=seconds):
        return None
    found: list[str] = []

    def run() -> None:
        try:
            found.append(work())
        except (Exception, SystemExit):
            logger.exception("the preview of an edited call failed")
            found.append("")
        finally:
            connections.close_all()  # this thread's own
            _places.release()

    thread = threading.Thread(target=run, name="preview", daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    return found[0] if found else None
