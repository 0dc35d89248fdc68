"""The app's public interface: submit, answer, cancel."""

from dataclasses import asdict, dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from agents import lifecycle
from agents.models import ACTIVE, Interrupt, Session, Status, Task
from agents.terms import ResponseType
from agentsite.core.clock import Now
from agentsite.core.errors import Conflict, Invalid, NotFound, TooMany
from agentsite.core.text import canonical, digest

ENQUEUE, REJECT = "enqueue", "reject"
STRATEGIES = (ENQUEUE, REJECT)  # what a second task in a busy session does
RETRY_AFTER = 30  # seconds, a guess: a queue shortens when a person decides something


class SessionBusy(Conflict):
    """The session has an unfinished task."""

    code = "session_busy"


class DifferentTask(Conflict):
    """A task with this task_id was submitted before with another body."""

    code = "task_exists"


class QueueFull(TooMany):
    """Too many tasks are waiting in this session."""

    code = "queue_full"


@dataclass(frozen=True)
class Submission:
    """What a client asks for."""

    user_id: str
    session_id: str
    task_id: str
    query: str
    system_message: str = ""
    agent: str = "default"
    multitask_strategy: str = ENQUEUE


def submit(submission: Submission, principal: User) -> Task:
    """Store the task and publish its job on commit. The same submission again starts nothing.

    Raises:
        Invalid: there is no such agent.
        DifferentTask: the task_id is taken by another body.
        SessionBusy, QueueFull: as the strategy says.
    """
    if submission.agent not in settings.AGENTS:
        raise Invalid(errors={"agent": [f"There is no agent called {submission.agent!r}."]})
    body = digest(canonical(asdict(submission)))
    with transaction.atomic():
        session = lifecycle.lock_session(submission.user_id, submission.session_id)
        known = session.tasks.filter(task_id=submission.task_id).first()
        if known is not None:
            if known.request_digest != body:
                raise DifferentTask
            return known
        _require_room(session, submission.multitask_strategy)
        task = Task(
            session=session,
            task_id=submission.task_id,
            query=submission.query,
            system_message=submission.system_message,
            agent=submission.agent,
            request_digest=body,
            submitted_by=principal,
        )
        return lifecycle.begin(session, task)


def _require_room(session: Session, strategy: str) -> None:
    if strategy == REJECT and session.tasks.filter(status__in=[*ACTIVE, Status.QUEUED]).exists():
        raise SessionBusy
    if session.tasks.filter(status=Status.QUEUED).count() >= settings.TASK_MAX_QUEUED:
        raise QueueFull(retry_after=RETRY_AFTER)


@dataclass(frozen=True)
class Answer:
    """What a decision says, in the form in which the gate reads it."""

    type: ResponseType
    status: str  # of the interrupt
    by: str
    args_text: str = ""  # of an edit: what runs instead
    verdict_text: str = ""  # of an edit: the policy's verdict on it
    digest: str = ""  # over what is to run
    message: str = ""


def answer(interrupt: Interrupt, given: Answer) -> None:
    """Store the answer and let the run go on. The caller holds the locks on the task and on this open interrupt.

    Raises Conflict where the interrupt is not open any more.
    """
    rows = Interrupt.objects.filter(pk=interrupt.pk, status=Interrupt.Status.PENDING, version=interrupt.version)
    if not rows.update(
        status=given.status,
        version=interrupt.version + 1,
        answer_type=given.type,
        answer_args_text=given.args_text,
        answer_verdict_text=given.verdict_text,
        answer_digest=given.digest,
        answer_message=given.message,
        answered_by=given.by,
        answered_at=Now(),
    ):
        raise Conflict("This review is not open any more.", code="not_open")
    lifecycle.wake(interrupt.task)


def cancel(task: Task) -> Task:
    """Cancel the task: at once for the client, at the next step for its worker. A finished one stays as it is."""
    return lifecycle.cancel(task)


def find_task(user_id: str, session_id: str, task_id: str) -> Task:
    """The task of these ids. Raises NotFound."""
    try:
        return Task.objects.select_related("session").get(
            session__user_id=user_id, session__session_id=session_id, task_id=task_id
        )
    except Task.DoesNotExist as error:
        raise NotFound("There is no such task.") from error
