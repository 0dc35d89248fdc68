"""REST endpoints of reviews, and those of tasks that show what the caller may decide."""

import uuid
from collections.abc import Iterator
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from agents import pauses
from agents.api import serializers as bodies
from agents.api.usage_bodies import usage
from agents.models import ACTIVE, FINAL, Interrupt, Status, Task
from agents.services import find_task
from agents.state.tasks import NO_TASK
from agents.usage import sums
from core.api import pagination
from core.api.viewsets import ClientIdsViewSet
from core.auth.principals import principal_of, require_to_read
from core.errors import Invalid, NotFound
from reviews.api import openapi, serializers
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
            nothing = dict.fromkeys(("message", "last_query", "last_updated", "last_response"))
            return Response(bodies.MissingTaskSerializer.of(NotFound(NO_TASK), **self.kwargs, **nothing), status=404)
        last = _last_response(task, request.user)
        used = usage(sums.of_task(task) if task.token else sums.Sums())  # no worker has had it: it has called nothing
        return Response(bodies.TaskSerializer.of(task, last_response=last, usage=used, **_what_holds(task)))


class ConflictsViewSet(ViewSet):
    """Base class of viewsets that show what a conflict is about: the existing decision or claim."""

    @override
    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, services.AlreadyDecided) and exc.review is not None:
            decision = serializers.DecisionSerializer().to_representation(exc.review)
            exc.extra = {"decision": decision, "status": exc.review.status}
        elif isinstance(exc, claims.Claimed):
            exc.extra = {"claimed_by": serializers.ClaimedBySerializer.of(exc.claim)}
        return super().handle_exception(exc)


class ResumeViewSet(ConflictsViewSet):
    """Deciding the questions of one task."""

    @openapi.RESUME
    def create(self, request: Request) -> Response:
        """Decide one or several questions of a task. The task then continues."""
        serializer = serializers.ResumeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        user_id = data.get("user_id", request.user.get_username())
        require_to_read(request.user, user_id)
        task = find_task(user_id, data["session_id"], data["task_id"])
        given = data.get("decisions") or [data]
        decisions = [Addressed(one.get("interrupt_id"), serializers.choice_from(one)) for one in given]
        resume(task, principal_of(request), decisions)
        return Response(bodies.NamedTaskSerializer.of(task), status=202)


class ReviewViewSet(ConflictsViewSet):
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
        results = [_shown(row, request.user, held.get(row.pk)) for row in rows]
        return Response(serializers.ReviewListSerializer.of(results=results, next=cursor))

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
        serializer = serializers.DecideSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return _answer(services.decide(key, principal_of(request), serializer.choice()), request)

    @openapi.CLAIM
    def claim(self, request: Request, pk: str) -> Response:
        """Show other reviewers that the caller is working on this review. Repeat the call to keep the claim."""
        key = _uuid(pk)
        serializer = serializers.ClaimSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        take_over = serializer.validated_data["take_over"]
        return _answer(claims.claim(key, principal_of(request), take_over=take_over), request)

    @openapi.RELEASE
    def release(self, request: Request, pk: str) -> Response:
        """Release the caller's claim on a review."""
        return _answer(claims.release(_uuid(pk), principal_of(request)), request)


def _answer(review: Review, request: Request) -> Response:
    return Response(_shown(review, request.user, claims.held([review]).get(review.pk)))


def _shown(review: Review, principal: Any, claim: Claim | None) -> dict[str, Any]:
    allowed = services.allowed_for(principal, review)
    claimed_by = None if claim is None else serializers.ClaimedBySerializer.of(claim)
    return serializers.ReviewSerializer.of(review, allowed=allowed, claimed_by=claimed_by)


def _last_response(task: Task, principal: Any) -> dict[str, Any] | None:
    """Return the result, the error or the open questions of the task, or None while it has none of them."""
    if task.status not in (Status.INTERRUPTED, *FINAL):
        return None
    asked = list(_open_questions(task, principal)) if task.status == Status.INTERRUPTED else []
    return bodies.LastResponseSerializer.of(task, interrupt_data=asked[0] if asked else None, interrupts=asked)


def _open_questions(task: Task, principal: Any) -> Iterator[dict[str, Any]]:
    for row in Review.objects.filter(task=task, status=Interrupt.Status.PENDING).order_by("created_at", "pk"):
        row.task = task
        config = bodies.ConfigSerializer.of(services.allowed_for(principal, row))
        yield bodies.InterruptSerializer.of(row, config=config)


def _what_holds(task: Task) -> dict[str, Any]:
    """Return what keeps the task from starting: the session's active task, or the pause over a pending one."""
    if task.status == Status.QUEUED:
        active = Task.objects.filter(session=task.session_id, status__in=ACTIVE)
        return {"blocked_by": active.values_list("task_id", flat=True).first()}
    if task.status == Status.PENDING and getattr(task, "is_paused", True):
        pause = pauses.over(task, task.held_tool)
        return {"paused": bodies.PausedSerializer.of(pause)} if pause is not None else {}
    return {}


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFound from error
