"""REST endpoints that answer with a task's status, which shows what the caller may decide."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from agents import pauses
from agents.api import serializers as bodies
from agents.api.usage_bodies import usage
from agents.api.views import TaskViewSet
from agents.models import ACTIVE, FINAL, Interrupt, Status, Task
from agents.services import find_task
from agents.state.tasks import NO_TASK
from agents.usage import sums
from agents.watching import waiting
from agents.watching.hub import hub
from agents.watching.responses import LASTING, HeldResponse
from core.api.viewsets import ClientIdsViewSet
from core.auth.principals import require_to_read
from core.errors import Invalid, NotFound
from reviews.api import openapi
from reviews.decisions import services
from reviews.models import Review

Answer = tuple[int, dict[str, Any]]  # status code and body


class StatusViewSet(ClientIdsViewSet):
    """One task with its result or its open questions."""

    @openapi.READ_STATUS
    def retrieve(self, request: Request, user_id: str, session_id: str, task_id: str) -> HttpResponseBase:
        """Return a task. The response is the same 404 for a missing task and for another owner's task."""
        seconds, since = _wait(request), _since(request)
        try:
            require_to_read(request.user, user_id)
            task = find_task(user_id, session_id, task_id)
        except NotFound:
            return Response(_missing(self.kwargs), status=404)
        finish = partial(_status_now, task, self.kwargs, request.user)
        changed = task.wire_status != since if since else task.status not in waiting.UNDECIDED
        if changed or not seconds:
            return Response(_status(task, request.user))
        return _held(request, task, since, seconds, finish)


class InvokeViewSet(TaskViewSet):
    """Submission of a task, which may wait for its outcome."""

    @override
    def submitted(self, request: Request, task: Task) -> HttpResponseBase:
        seconds = _wait(request)
        if not seconds:
            return super().submitted(request, task)
        return _held(request, task, "", seconds, partial(_outcome_now, task, request.user))

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the query as well, so that a bad one stores nothing."""
        super().initial(request, *args, **kwargs)
        if self.action == "invoke":
            _wait(request)


def _held(request: Request, task: Task, since: str, seconds: float, finish: Any) -> HttpResponseBase:
    """Answer when the task has changed, at most after so many seconds."""
    if hub().count() >= settings.MAX_STREAMS:
        seconds = 0.0
    if request.META.get(LASTING):
        return HeldResponse(partial(waiting.until_changed, task, since, seconds), partial(_rendered, finish))
    waiting.block(task, since, seconds)
    status, body = finish()
    return Response(body, status=status)


def _rendered(finish: Any) -> tuple[int, bytes]:
    status, body = finish()
    return status, JSONRenderer().render(body)


def _status_now(task: Task, ids: dict[str, str], principal: Any) -> Answer:
    try:
        now = find_task(ids["user_id"], ids["session_id"], ids["task_id"])
    except NotFound:
        return 404, _missing(ids)
    return 200, _status(now, principal)


def _outcome_now(task: Task, principal: Any) -> Answer:
    """Return the status if the task has ended or waits for a person, else the same as without waiting."""
    now = Task.objects.select_related("session").filter(pk=task.pk).first()
    if now is None or now.status in waiting.UNDECIDED:
        return 202, bodies.NamedTaskSerializer.of(task)
    return 200, _status(now, principal)


def _wait(request: Request) -> float:
    """Return the seconds to wait. Raises Invalid."""
    text = request.query_params.get("wait", "")
    if not text:
        return 0.0
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= waiting.LONGEST):
        raise Invalid(errors={"wait": [f"Must be a whole number of seconds from 0 to {waiting.LONGEST}."]})
    return float(text)


def _since(request: Request) -> str:
    since = request.query_params.get("since", "")
    if since and since not in bodies.WIRE_STATUSES:
        raise Invalid(errors={"since": [f"Must be one of {', '.join(bodies.WIRE_STATUSES)}."]})
    return since


def _missing(ids: dict[str, str]) -> dict[str, Any]:
    nothing = dict.fromkeys(("message", "last_query", "last_updated", "last_response"))
    return bodies.MissingTaskSerializer.of(NotFound(NO_TASK), **ids, **nothing)


def _status(task: Task, principal: Any) -> dict[str, Any]:
    last = _last_response(task, principal)
    used = usage(sums.of_task(task) if task.token else sums.Sums())  # no worker has had it: it has called nothing
    return bodies.TaskSerializer.of(task, last_response=last, usage=used, **_what_holds(task))


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
