"""Interrupts: how they are created, found again, verified to be unchanged, and resolved.

Only this module writes the status of an interrupt; `transitions.INTERRUPT` is the table.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F

from agents.desk import desk
from agents.models import Interrupt, Task, ToolCall
from agents.policy import REQUESTER, REVIEWERS, STAND, ResponseType, Terms, Verdict
from agents.state.transitions import INTERRUPT, targets
from core.db.clock import Now, seconds_from_now
from core.db.compiled import Compiled
from core.text import canonical, digest, storable

logger = logging.getLogger(__name__)

MARK = "agentsite_question"  # key of the gate's own payloads; a graph's own interrupt has any other shape
OWN_TERMS = Terms(deciders=(REQUESTER, REVIEWERS), on_expiry="wait", allowed=("response",))  # others cannot answer it
OWN = "the graph asks"  # in place of a rule, for a question that is not about a tool call
SYSTEM = "system"  # who answers if no person does
CLOSED_BY_ITSELF = "The call ended after all, while it was in doubt; its own result stands."
_ASKED = Compiled[Interrupt](
    lambda task, message, call, kind: Interrupt.objects.filter(
        task_id=task, message_id=message, tool_call_id=call, kind=kind
    ).order_by("-round")[:1]
)


def digest_of(task_pk: Any, tool: str, args_text: str, verdict_text: str) -> str:
    """Return the SHA-256 (hex) of everything that a person agrees to."""
    return digest(str(task_pk), tool, args_text, verdict_text)


def payload(interrupt: Interrupt) -> dict[str, Any]:
    """Return the JSON that the gate passes to LangGraph: all that `from_payload` needs."""
    names = ("kind", "message_id", "tool_call_id", "round", "tool", "args_text", "verdict_text", "args_digest")
    return {MARK: {name: getattr(interrupt, name) for name in (*names, "args_schema", "description", "said", "risk")}}


def graph_id(interrupt: Interrupt) -> str:
    """Return the gate's own id of the interrupt for LangGraph.

    LangGraph stores no answer under it: answers to the gate's interrupts are read from the database.
    """
    return digest(interrupt.message_id, interrupt.tool_call_id, interrupt.kind, str(interrupt.round))[:32]


def from_payload(task: Task, node_id: str, graph_id: str, value: Any) -> Interrupt:
    """Create an unsaved interrupt of the task from LangGraph's payload. One without MARK is the graph's own question.

    Args:
        node_id: LangGraph's id of the node run that asks; its own questions are answered in their order.
    """
    if isinstance(value, dict) and MARK in value:
        fields = value[MARK]
    else:
        args_text = _text_of(value)
        verdict_text = Verdict("review", OWN, OWN_TERMS).to_text()
        fields = {
            "kind": Interrupt.Kind.QUESTION,
            "message_id": node_id,
            "tool_call_id": graph_id,
            "args_text": args_text,
            "verdict_text": verdict_text,
            "args_digest": digest_of(task.pk, "", args_text, verdict_text),
            "description": storable(value) if isinstance(value, str) else "",
            "risk": OWN_TERMS.risk,
        }
    terms = Verdict.from_text(fields["verdict_text"]).terms
    expires_at = seconds_from_now(terms.seconds)
    return Interrupt(task=task, graph_id=graph_id, expires_at=expires_at, on_expiry=terms.on_expiry, **fields)


def asked_before(task: Task, message_id: str, tool_call_id: str, kind: str) -> Interrupt | None:
    """Return the newest round of this question, or None if it has not been asked."""
    return _ASKED.first(task.pk, message_id, tool_call_id, str(kind))


def was_edited(task: Task, message_id: str, tool_call_id: str) -> bool:
    """Return whether a person has changed the arguments of this call, in any round."""
    rows = Interrupt.objects.filter(task=task, message_id=message_id, tool_call_id=tool_call_id)
    return rows.filter(kind=Interrupt.Kind.TOOL_CALL, status=Interrupt.Status.EDITED).exists()


def agreed_terms(approval: Interrupt) -> Terms:
    """Return the terms of what was agreed to: an edit's own if they require a review, else those of the question."""
    asked = Verdict.from_text(approval.verdict_text)
    edited = Verdict.from_text(approval.answer_verdict_text) if approval.answer_verdict_text else asked
    return edited.terms if edited.action == "review" else asked.terms


def is_stale(approval: Interrupt) -> bool:
    """Return whether the call has to be asked about again.

    The approval is older than its terms allow, or the person who gave it may no longer decide it.
    """
    limit = seconds_from_now(-agreed_terms(approval).seconds)
    return not Interrupt.objects.filter(pk=approval.pk, answered_at__gt=limit).exists() or has_lost_decider(approval)


def has_lost_decider(approval: Interrupt) -> bool:
    """Return whether the person who approved the call may no longer decide it.

    Always False if the settings let decisions of former reviewers stand.
    """
    if settings.DECISIONS_OF_FORMER_REVIEWERS == STAND:
        return False
    if desk().may_still_decide(approval.pk):
        return False
    by = approval.answered_by
    logger.warning("task %s: %s, who approved %s, may not decide it any more", approval.task_id, by, approval.tool)
    return True


def store(question: Interrupt) -> tuple[Interrupt, bool]:
    """Store a question that the graph asked. Returns its row and whether it is new.

    A question about a call in doubt that has finished in the meantime is stored with its answer.
    """
    key = ("task", "message_id", "tool_call_id", "kind", "round")
    if question.kind == Interrupt.Kind.IN_DOUBT and not _is_in_doubt(question):
        for name, value in _closed_by_itself().items():
            setattr(question, name, value)
    row, made = Interrupt.objects.get_or_create(
        **{name: getattr(question, name) for name in key},
        defaults={
            field.attname: getattr(question, field.attname)
            for field in Interrupt._meta.concrete_fields
            if field.name not in (*key, "id", "created_at") and not field.generated
        },
    )
    if not made and row.graph_id != question.graph_id:
        Interrupt.objects.filter(pk=row.pk).update(graph_id=question.graph_id)
    return row, made


@dataclass(frozen=True)
class Answer:
    """A decision in the form in which the gate reads it."""

    type: ResponseType
    status: str  # of the interrupt
    by: str
    args_text: str = ""  # of an edit: what runs instead
    verdict_text: str = ""  # of an edit: the policy's verdict on it
    digest: str = ""  # over what is to run
    message: str = ""


def resolve(interrupt: Interrupt, given: Answer) -> bool:
    """Store the answer to an open interrupt. Returns False if it is no longer open.

    Raises ValueError for a status that no answer leads to.
    """
    if given.status not in targets(INTERRUPT, Interrupt.Status.PENDING) - {Interrupt.Status.CANCELLED}:
        raise ValueError(f"An answer makes no interrupt {given.status!r}.")
    rows = Interrupt.objects.filter(pk=interrupt.pk, status=Interrupt.Status.PENDING, version=interrupt.version)
    return bool(
        rows.update(
            status=given.status,
            version=interrupt.version + 1,
            answer_type=given.type,
            answer_args_text=given.args_text,
            answer_verdict_text=given.verdict_text,
            answer_digest=given.digest,
            answer_message=given.message,
            answered_by=given.by,
            answered_at=Now(),
        )
    )


def resolve_ended(row: ToolCall) -> Interrupt | None:
    """Resolve the open in-doubt interrupt of a call that has finished after all. Returns it, or None if there is none.

    The caller has locked the task.
    """
    rows = Interrupt.objects.filter(
        task=row.task_id,
        message_id=row.message_id,
        tool_call_id=row.tool_call_id,
        kind=Interrupt.Kind.IN_DOUBT,
        status=Interrupt.Status.PENDING,
    )
    asked = rows.first()
    if asked is None or not rows.update(version=F("version") + 1, **_closed_by_itself()):
        return None
    return asked


def cancel_open(task: Task) -> None:
    """Cancel the open interrupts of a task that has ended."""
    rows = Interrupt.objects.filter(task=task, status=Interrupt.Status.PENDING)
    rows.update(status=Interrupt.Status.CANCELLED, version=F("version") + 1)


def use(answer: Interrupt) -> None:
    """Record that the run acts on this answer, so that the task is not woken for it again."""
    Interrupt.objects.filter(pk=answer.pk, used_at=None).update(used_at=Now())


def use_all_but(task: Task, asked: Iterable[Interrupt]) -> None:
    """Mark the answers to all other interrupts as used. Nothing waits for them, so they would wake the task forever."""
    unused = Interrupt.objects.filter(task=task, answered_at__isnull=False, used_at=None)
    unused.exclude(pk__in=[row.pk for row in asked]).update(used_at=Now())


def _is_in_doubt(question: Interrupt) -> bool:
    """Return whether the call is still open: a stalled worker may have closed it since the gate asked."""
    calls = ToolCall.objects.filter(task=question.task_id, status=ToolCall.Status.STARTED)
    return calls.filter(message_id=question.message_id, tool_call_id=question.tool_call_id).exists()


def is_closed_by_itself(asked: Interrupt) -> bool:
    """Return whether the call in doubt has ended after all: not so by the answer of a person called "system"."""
    return asked.answered_by == SYSTEM and asked.answer_message == CLOSED_BY_ITSELF


def _closed_by_itself() -> dict[str, Any]:
    """Return field values that resolve an in-doubt interrupt whose tool call has finished after all."""
    return {
        "status": Interrupt.Status.RESPONDED,
        "answer_type": "response",
        "answer_message": CLOSED_BY_ITSELF,
        "answered_by": SYSTEM,
        "answered_at": Now(),
    }


def overdue() -> Any:
    """Return the open interrupts whose time is up and whose terms say reject."""
    return Interrupt.objects.filter(status=Interrupt.Status.PENDING, on_expiry="reject", expires_at__lt=Now())


def _text_of(value: Any) -> str:
    """Return the graph's own payload as JSON text. A value that JSON cannot represent becomes a string."""
    try:
        return canonical(storable(value))
    except TypeError:
        return canonical(storable(str(value)))
