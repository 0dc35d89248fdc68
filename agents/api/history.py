"""A session's conversation: the messages of its ended tasks, as clients page through them."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from agents.models import Session, Task
from agents.runtime.history import effects
from core.api import pagination
from core.text import readable

CUT = {
    "length": _("[cut off: the output limit was reached]"),
    "content_filter": _("[cut off: stopped by the endpoint's content filter]"),
    "broken_off": _("[cut off: stopped by the endpoint]"),
}
LARGEST = 2**31 - 1  # largest position of a task


def page(request: Request, session: Session) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page of messages, each with its `task_id`, and the cursor of the next page or None. Raises Invalid."""
    limit = pagination.limit_of(request)
    found: list[dict[str, Any]] = []
    for task, index, message in _following(request, session, limit):
        if len(found) == limit:
            return found, pagination.encode(task.position, index)
        found.append({**message, "task_id": task.task_id})
    return found, None


def _following(request: Request, session: Session, limit: int) -> Iterator[tuple[Task, int, dict[str, Any]]]:
    """Yield the messages from the request's cursor on in its order, each with its task and its place among the task's.

    Each task has at least one message; reading stops when the page is full.
    """
    newest_first = pagination.is_newest_first(request)
    position, start = _start(request, newest_first)
    rows = session.tasks.filter(**{f"position__{'lte' if newest_first else 'gte'}": position})
    tasks = effects.told(rows).order_by("-position" if newest_first else "position")
    for task in tasks[: limit + 1].iterator(chunk_size=20):
        messages = effects.messages(task)
        indices = range(len(messages))
        if task.position == position:
            indices = indices[: start + 1] if newest_first else indices[start:]
        for index in reversed(indices) if newest_first else indices:
            yield task, index, messages[index]


def latest(session: Session, count: int) -> list[dict[str, Any]]:
    """Return the last `count` messages, oldest first."""
    tasks = effects.told(session.tasks.all()).order_by("-position")[:count]  # each has at least one message
    return [one for task in reversed(tasks) for one in effects.messages(task)][-count:]


def before(task: Task, count: int) -> list[dict[str, Any]]:
    """Return the messages of the last `count` ended tasks before this one in its session, oldest first."""
    tasks = effects.told(Task.objects.filter(session=task.session_id, position__lt=task.position))
    return [one for earlier in reversed(tasks.order_by("-position")[:count]) for one in effects.messages(earlier)]


def of(task: Task) -> list[dict[str, Any]]:
    """Return the messages of an ended task, or none while it has not ended."""
    found = effects.told(Task.objects.filter(pk=task.pk)).first()
    return effects.messages(found) if found is not None else []


def text_of(message: dict[str, Any], indent: int | None = None) -> str:
    """Return a message as text for people: its content, each tool call on its own line, and a note if it is cut off."""
    calls = [f"{call['name']}({readable(call['args'], indent)})" for call in message.get("tool_calls", [])]
    cut = [CUT[message["cut_off"]]] if message.get("cut_off") in CUT else []
    return "\n".join(str(part) for part in (readable(message["content"], indent), *calls, *cut) if part)


def _start(request: Request, newest_first: bool) -> tuple[int, int]:
    if not (cursor := request.query_params.get("cursor")):
        return (LARGEST, LARGEST) if newest_first else (0, 0)
    position, index = pagination.decode(cursor, int, int)
    return min(max(position, 0), LARGEST), max(index, 0)
