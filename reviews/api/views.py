"""REST endpoints of reviews, and those of tasks that show what the caller may decide."""

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from agents import pauses
from agents.api import presenters
from agents.models import Interrupt, Pause, Status, Task
from agents.services import find_task
from core.api import pagination
from core.api.viewsets import ClientIdsViewSet
from core.auth.principals import principal_of, require_to_read
from core.errors import Invalid, NotFound
from reviews.api import openapi
from reviews.api.serializers import ClaimSerializer, DecideSerializer, ResumeSerializer, choice_from
from reviews.decisions import claims, permissions, services
from reviews.decisions.resume import Addressed, resume
from reviews.models import Claim, Review


class StatusViewSet(ClientIdsViewSet):
    """One task with its result or its open questions."""

    @openapi.READ_STATUS
    def retrieve(self, request: Request, user_id: str, session_id: str, task_id: str) -> Response:
        """Return a task. The response is the same 404 for a missing task and for another owner's task."""
        try:
            require_to_read(request.user, user_id)
            task = find_task(user_id, session_id, task_id)
        except NotFound:
            return Response(presenters.missing_task(user_id, session_id, task_id), status=404)
        return Response(presenters.task(task, _open_questions(task, request.user), _blocker(task), _pause_of(task)))


class ResumeViewSet(ViewSet):
    """Deciding the questions of one task."""

    @openapi.RESUME
    def create(self, request: Request) -> Response:
        """Decide one or several questions of a task. The task then continues."""
        serializer = ResumeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        user_id = data.get("user_id", request.user.get_username())
        require_to_read(request.user, user_id)
        task = find_task(user_id, data["session_id"], data["task_id"])
        given = data.get("decisions") or [data]
        resume(task, principal_of(request), [Addressed(one.get("interrupt_id"), choice_from(one)) for one in given])
        return Response(presenters.ids(task), status=202)


class ReviewViewSet(ViewSet):
    """The review queue."""

    @openapi.LIST
    def list(self, request: Request) -> Response:
        """List the reviews that the caller may see, oldest first."""
        reviews = permissions.visible(request.user).order_by("created_at", "pk")
        if (status := request.query_params.get("status")) is not None:
            if status not in Interrupt.Status.values:
                raise Invalid(errors={"status": [f"Must be one of {', '.join(Interrupt.Status.values)}."]})
            reviews = reviews.filter(status=status)
        rows, cursor = pagination.page(request, reviews, newest_first=False)
        held = claims.held(rows)
        return Response({"results": [shown(row, request.user, held.get(row.pk)) for row in rows], "next": cursor})

    @openapi.READ
    def retrieve(self, request: Request, pk: str) -> Response:
        """Return a review."""
        review = permissions.visible(request.user).filter(pk=_uuid(pk)).first()
        if review is None:
            raise NotFound
        return _answer(review, request)

    @openapi.DECIDE
    def decide(self, request: Request, pk: str) -> Response:
        """Decide a review. `version` must be the current version of the review."""
        key = _uuid(pk)
        serializer = DecideSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return _answer(services.decide(key, principal_of(request), serializer.choice()), request)

    @openapi.CLAIM
    def claim(self, request: Request, pk: str) -> Response:
        """Show other reviewers that the caller is working on this review. Repeat the call to keep the claim."""
        key = _uuid(pk)
        serializer = ClaimSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        take_over = serializer.validated_data["take_over"]
        return _answer(claims.claim(key, principal_of(request), take_over=take_over), request)

    @openapi.RELEASE
    def release(self, request: Request, pk: str) -> Response:
        """Release the caller's claim on a review."""
        return _answer(claims.release(_uuid(pk), principal_of(request)), request)


def _answer(review: Review, request: Request) -> Response:
    return Response(shown(review, request.user, claims.held([review]).get(review.pk)))


def shown(review: Review, principal: Any, claim: Claim | None = None) -> dict[str, Any]:
    """Return a review as the API shows it to this principal."""
    return {
        "id": str(review.pk),
        "version": review.version,
        "status": review.status,
        "kind": review.kind,
        **presenters.ids(review.task),
        "interrupt_id": str(review.pk),
        "action_request": presenters.action_request(review),
        "args_schema": review.args_schema,
        "description": review.description,
        "risk": review.risk,
        "allowed": services.allowed_for(principal, review),
        "claimed_by": claims.shown(claim),
        "requested_at": review.created_at,
        "expires_at": review.expires_at,
        "decision": services.decision_of(review),
    }


def _open_questions(task: Task, principal: Any) -> list[dict[str, Any]]:
    if task.status != Status.INTERRUPTED:
        return []
    rows = Review.objects.filter(task=task, status=Interrupt.Status.PENDING).order_by("created_at", "pk")
    questions = []
    for row in rows:
        row.task = task
        questions.append(presenters.interrupt(row, list(services.allowed_for(principal, row))))
    return questions


def _blocker(task: Task) -> str | None:
    """Return the task_id of the session's active task, which a queued task waits for, or None."""
    if task.status != Status.QUEUED:
        return None
    active = (Status.PENDING, Status.RUNNING, Status.INTERRUPTED)
    return Task.objects.filter(session=task.session_id, status__in=active).values_list("task_id", flat=True).first()


def _pause_of(task: Task) -> Pause | None:
    """Return the pause that keeps a pending task from being claimed, or None."""
    if task.status != Status.PENDING or not getattr(task, "is_paused", True):
        return None
    return pauses.over(task, task.held_tool)


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFound from error
