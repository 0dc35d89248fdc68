"""REST endpoints that send what happens in tasks, as it happens."""

from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from agents import services
from agents.api import openapi, serializers
from agents.watching.hub import hub
from agents.watching.responses import LiveResponse
from agents.watching.streams import InvalidCursor, SessionView, TaskView, stream
from core.api.viewsets import ClientIdsViewSet
from core.auth import stream_tokens
from core.auth.principals import ACT_FOR_ANY_USER, require_to_read
from core.auth.renewal import credential_of, principal_now
from core.auth.stream_tokens import SECONDS, StreamToken, StreamTokenAuthentication
from core.errors import Invalid, NotFound, TooMany

RETRY_AFTER = 10  # seconds; a guess


class StreamViewSet(ClientIdsViewSet):
    """Streams of the events of one task, or of a session's tasks."""

    authentication_classes = (StreamTokenAuthentication, *api_settings.DEFAULT_AUTHENTICATION_CLASSES)  # type: ignore[arg-type]

    @override
    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Send errors as JSON whatever the client accepts. `EventSource` accepts only streams."""
        return JSONRenderer(), JSONRenderer.media_type

    @openapi.STREAM_TASK
    def task(self, request: Request, user_id: str, session_id: str, task_id: str) -> HttpResponseBase:
        """Send a task's events, from the first one or after `Last-Event-ID`, until the task has ended."""
        require_to_read(request.user, user_id)
        task = services.find_task(user_id, session_id, task_id)
        return self._streamed(request, user_id, partial(TaskView.after, task))

    @openapi.STREAM_SESSION
    def session(self, request: Request, user_id: str, session_id: str) -> HttpResponseBase:
        """Send the events of a session's tasks: of those that have not ended, and of all that follow."""
        require_to_read(request.user, user_id)
        session = services.find_session(user_id, session_id)
        return self._streamed(request, user_id, partial(SessionView.after, session.pk))

    def _streamed(self, request: Request, user_id: str, view_after: Any) -> HttpResponseBase:
        if isinstance(request.auth, StreamToken) and request.auth.user_id != user_id:
            raise NotFound
        try:
            view = view_after(_cursor(request))
        except InvalidCursor as error:
            raise Invalid(errors={"after": ["Send the id of an event of this stream."]}) from error
        if hub().count() >= settings.MAX_STREAMS:
            raise TooMany("Too many streams are open.", retry_after=RETRY_AFTER, code="too_many_streams")
        if request.method == "HEAD":
            return Response(content_type="text/event-stream")

        def rights() -> tuple[str, bool] | None:
            principal = principal_now(request)
            return None if principal is None else (principal.get_username(), principal.has_perm(ACT_FOR_ANY_USER))

        async def allowed() -> bool:
            found = await hub().recheck(credential_of(request), rights)
            return found is not None and (found[0] == user_id or found[1])

        return LiveResponse(partial(stream, view, allowed))


class StreamTokenViewSet(ViewSet):
    """Tokens for streams."""

    @openapi.STREAM_TOKEN
    def create(self, request: Request) -> Response:
        """Return a token with which a page of another origin opens streams by `EventSource`, as `?token=`."""
        serializer = serializers.StreamTokenSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user_id = serializer.validated_data.get("user_id", request.user.get_username())
        require_to_read(request.user, user_id)
        body = serializers.IssuedTokenSerializer.of(token=stream_tokens.issue(request, user_id), expires_in=SECONDS)
        return Response(body, status=201)


def _cursor(request: Request) -> str:
    """Return the id of the event after which to begin, or "". A browser that reconnects sends it as a header."""
    return str(request.headers.get("Last-Event-ID") or request.query_params.get("after") or "")
