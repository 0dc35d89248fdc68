"""What was said in a session: the messages of its completed tasks, oldest first, as clients page through them."""

import json
from typing import Any

from rest_framework.request import Request

from agents.models import Session, Status, ToolCall
from agentsite.core import paging

LARGEST = 2**31 - 1  # position of a task


def page(request: Request, session: Session) -> tuple[list[dict[str, Any]], str | None]:
    """One page of messages, each with its `task_id`, and the cursor of the next one or None. Raises Invalid."""
    limit = paging.limit_of(request)
    position, start = _start(request)
    tasks = session.tasks.filter(status=Status.COMPLETED, position__gte=position).order_by("position")
    found: list[dict[str, Any]] = []
    # Each task has a message at least; reading stops where the page is full.
    for task in tasks.only("session", "task_id", "position", "result")[: limit + 1].iterator(chunk_size=20):
        messages = (task.result or {}).get("messages", [])
        for index in range(start if task.position == position else 0, len(messages)):
            if len(found) == limit:
                return found, paging.encode(task.position, index)
            found.append({**messages[index], "task_id": task.task_id})
    return found, None


def latest(session: Session, count: int) -> list[dict[str, Any]]:
    """The last `count` messages, oldest first."""
    tasks = session.tasks.filter(status=Status.COMPLETED).order_by("-position")
    results = tasks.values_list("result", flat=True)[:count]  # each has a message at least
    return [one for result in reversed(results) for one in (result or {}).get("messages", [])][-count:]


def result_of(call: ToolCall) -> Any:
    """What the tool gave, as the model was told: any JSON value, "" where there is nothing yet."""
    try:
        kept = json.loads(call.result_text or '""')
    except ValueError:
        return call.result_text
    return kept.get("content", "") if isinstance(kept, dict) else call.result_text


def _start(request: Request) -> tuple[int, int]:
    if not (cursor := request.query_params.get("cursor")):
        return 0, 0
    position, index = paging.decode(cursor, int, int)
    return min(max(position, 0), LARGEST), max(index, 0)
