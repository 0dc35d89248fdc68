"""The questions that stop a task: how they are made, found again and proved unchanged."""

import json
from typing import Any

from agents.models import Interrupt, Task
from agents.terms import Verdict
from agentsite.core.clock import Now, seconds_from_now
from agentsite.core.text import digest

MARK = "agentsite_question"  # in a payload that is ours; a graph's own interrupt has any other shape


def digest_of(task_pk: Any, tool: str, args_text: str, verdict_text: str) -> str:
    """SHA-256 (hex) over everything that a person agrees to."""
    return digest(str(task_pk), tool, args_text, verdict_text)


def payload(interrupt: Interrupt) -> dict[str, Any]:
    """What the gate hands to LangGraph's `interrupt()`: all that `from_payload` needs, and JSON only."""
    names = ("kind", "message_id", "tool_call_id", "round", "tool", "args_text", "verdict_text", "args_digest")
    return {MARK: {name: getattr(interrupt, name) for name in (*names, "args_schema", "description", "risk")}}


def from_payload(task: Task, graph_id: str, value: Any) -> Interrupt:
    """An unsaved interrupt of the task from LangGraph's payload; one that is not ours is the graph's own question."""
    if isinstance(value, dict) and MARK in value:
        fields = value[MARK]
    else:
        args_text = json.dumps(value, default=str)
        verdict_text = Verdict("review", "the graph asks").to_text()
        fields = {
            "kind": Interrupt.Kind.QUESTION,
            "message_id": "",
            "tool_call_id": graph_id,
            "args_text": args_text,
            "verdict_text": verdict_text,
            "args_digest": digest_of(task.pk, "", args_text, verdict_text),
            "description": value if isinstance(value, str) else "",
        }
    terms = Verdict.from_text(fields["verdict_text"]).terms
    return Interrupt(task=task, graph_id=graph_id, expires_at=seconds_from_now(terms.seconds), **fields)


def asked_before(task: Task, message_id: str, tool_call_id: str, kind: str) -> Interrupt | None:
    """The newest round of this question, where it has been asked."""
    rows = Interrupt.objects.filter(task=task, message_id=message_id, tool_call_id=tool_call_id, kind=kind)
    return rows.order_by("-round").first()


def is_stale(approval: Interrupt) -> bool:
    """Whether the approval is older than its terms allow, so that the call has to be asked again."""
    seconds = Verdict.from_text(approval.verdict_text).terms.seconds
    return not Interrupt.objects.filter(pk=approval.pk, answered_at__gt=seconds_from_now(-seconds)).exists()


def overdue() -> Any:
    """The open questions whose time is up."""
    return Interrupt.objects.filter(status=Interrupt.Status.PENDING, expires_at__lt=Now())
