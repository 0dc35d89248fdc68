"""Previews of what a call would do with arguments that a reviewer has edited, computed by the tool's declaration.

The preview stored on a review was computed in the worker from the requested arguments. It does not apply to other
arguments and is never shown with them: either the preview is computed again here, or nothing is shown.
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

AT_ONCE = 4  # previews computed concurrently in one process; a tool that never returns keeps its slot
_places = threading.BoundedSemaphore(AT_ONCE)


def of_edit(review: Interrupt, given: Any) -> str | None:
    """Return the preview of the call with these arguments; "" if they don't fit the tool or the preview fails.

    Return None if the preview is not ready in time, for example because the tools are imported for the first time. A
    later request may succeed.
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
    """Return the preview of the requested arguments; "" after an edit, whose own preview is not stored."""
    return "" if review.status == Interrupt.Status.EDITED else review.description


def _computed(review: Interrupt, args: dict[str, Any]) -> str:
    # The registry imports LangChain, so the web process imports it only when the first edit needs it.
    tool = import_string("agents.runtime.registry.agent")(review.task.agent).tool(review.tool)
    preview = declaration_of(tool).preview
    if preview is None:
        return str(storable(tool.description)) if tool is not None else ""
    return str(storable(preview(copy.deepcopy(args))))


def _within(seconds: float, work: Callable[[], str]) -> str | None:
    """Run `work` in its own thread, because a tool's code may hang. Return its result, or None if it is not in time.

    Return "" if `work` fails or `seconds` is not positive.
    """
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
