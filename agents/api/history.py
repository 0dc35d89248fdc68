"""A session's conversation: the messages of its ended tasks, oldest first, as clients page through them."""

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
    position, start = _start(request)
    tasks = effects.told(session.tasks.filter(position__gte=position)).order_by("position")
    found: list[dict[str, Any]] = []
    # Each task has at least one message; reading stops when the page is full.
    for task in tasks[: limit + 1].iterator(chunk_size=20):
        messages = effects.messages(task)
        for index in range(start if task.position == position else 0, len(messages)):
            if len(found) == limit:
                return found, pagination.encode(task.position, index)
            found.append({**messages[index], "task_id": task.task_id})
    return found, None


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


def _start(request: Request) -> tuple[int, int]:
    if not (cursor := request.query_params.get("cursor")):
        return 0, 0
    position, index = pagination.decode(cursor, int, int)
    return min(max(position, 0), LARGEST), max(index, 0)
