"""What the review page shows, as plain values."""

import difflib
import json
from typing import Any

from agents.models import Interrupt, Status, Task
from agents.terms import Verdict
from reviews.models import Decision, Review

EARLIER = 5  # tasks of the session that are shown before the one that asks


def arguments(review: Interrupt) -> list[tuple[str, str]]:
    """The arguments by name, each as the text that the tool gets."""
    args = review.args
    return [(name, written(value)) for name, value in args.items()] if isinstance(args, dict) else [("", written(args))]


def written(value: Any) -> str:
    """A string as it is; anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def conversation(review: Interrupt) -> list[tuple[str, str]]:
    """Who said what in the session: its last completed tasks, then the query of the task that asks."""
    task = review.task
    tasks = Task.objects.filter(session=task.session_id, status=Status.COMPLETED, position__lt=task.position)
    said: list[tuple[str, str]] = []
    for result in reversed(tasks.order_by("-position").values_list("result", flat=True)[:EARLIER]):
        said += [(one["type"], _said(one)) for one in (result or {}).get("messages", [])]
    return [*said, ("human", task.query)]


def changes(review: Interrupt) -> list[tuple[str, str]]:
    """An edit, line by line: ("+" | "-" | " ", text). Empty where nothing was edited."""
    if not review.answer_args_text:
        return []
    before, after = (
        json.dumps(json.loads(text), indent=2, ensure_ascii=False).splitlines()
        for text in (review.args_text, review.answer_args_text)
    )
    return [(line[0], line[2:]) for line in difflib.ndiff(before, after) if line[0] in "+- "]


def context(review: Review) -> dict[str, Any]:
    """Everything that the template needs of the review itself."""
    verdict = Verdict.from_text(review.verdict_text)
    return {
        "review": review,
        "session": review.task.session,
        "arguments": arguments(review),
        "conversation": conversation(review),
        "changes": changes(review),
        "rule": verdict.rule,
        "terms": verdict.terms,
        "decision": Decision.objects.filter(review=review).first(),
        "in_doubt": review.kind == Interrupt.Kind.IN_DOUBT,
    }


def _said(message: dict[str, Any]) -> str:
    calls = [f"{call['name']}({written(call['args'])})" for call in message.get("tool_calls", [])]
    return "\n".join(part for part in (written(message["content"]), *calls) if part)
