"""REST endpoints of reviews, and those of tasks that show what the caller may decide."""

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from agents.api import serializers as bodies
from agents.models import Interrupt
from agents.services import find_task
from core.api import pagination
from core.auth.principals import principal_of, require_to_read
from core.errors import Invalid, NotFound
from reviews.api import openapi, serializers
from reviews.decisions import claims, permissions, services
from reviews.decisions.resume import Addressed, resume
from reviews.models import Claim, Review


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


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFound from error
