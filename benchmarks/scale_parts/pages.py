"""Pages, lists, counts and chores that `benchmarks/scale.py` measures."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.utils import timezone

from agents.maintenance import retention, sweeper
from agents.models import Interrupt, Session, Task
from agents.observability import metrics
from agents.usage import sums
from benchmarks.scale_parts.rows import USER_ID
from core.api import pagination
from notifications import outbox

ADMIN = "/admin"
TASKS, SESSIONS, CALLS, MODEL_CALLS = (
    f"{ADMIN}/agents/{name}/" for name in ("task", "session", "toolcall", "modelcall")
)
QUEUE, AUDIT = f"{ADMIN}/reviews/review/", f"{ADMIN}/reviews/auditentry/"
MEMORIES, DELIVERIES = f"{ADMIN}/memory/memory/", f"{ADMIN}/notices/delivery/"
OPEN, CLOSED = "?status=pending&limit=50", "?status=approved&limit=50"


def middle(model: type[Any], **where: Any) -> str:
    """Return the cursor of a list in the middle of a table."""
    rows = model.objects.filter(**where).order_by("created_at", "pk")
    row = rows[rows.count() // 2]
    return pagination.encode(row.created_at.isoformat(), str(row.pk))


def addresses() -> dict[str, tuple[str, str]]:
    """Return the username and the address of each page."""
    session = Session.objects.filter(user_id=USER_ID).order_by("created_at")[0]
    task = session.tasks.order_by("position")[1]
    own = f"{USER_ID}/{session.session_id}"
    review = Interrupt.objects.filter(status="pending", deciders='["group:finance"]').order_by("created_at")[0]
    api = {
        "status of a task": f"/agent/status/{own}/{task.task_id}",
        "tasks of a session": f"/agent/tasks/{own}",
        "a session": f"/agent/session/{own}",
        "sessions of a user": f"/agent/sessionids/{USER_ID}",
        "active session": f"/agent/active/sessionid/{USER_ID}",
    }
    found = {name: ("service", path) for name, path in api.items()}
    for who in ("service", USER_ID, "finance"):
        found |= {
            f"/reviews ({who})": (who, "/reviews?limit=10"),
            f"/system/info ({who})": (who, "/system/info?limit=10"),
        }
        found |= {f"/usage by {by} ({who})": (who, f"/usage?group_by={by}&limit=50") for by in sums.GROUPS}
    for who in ("service", "finance"):
        found |= {f"/reviews {query} ({who})": (who, f"/reviews{query}") for query in (OPEN, CLOSED)}
        cursor = middle(Interrupt, status="approved")
        found[f"/reviews, middle page ({who})"] = (who, f"/reviews?limit=50&cursor={cursor}")
    found |= {
        "/metrics": ("viewer", "/metrics"),
        "/health/ready": ("viewer", "/health/ready"),
        "admin index": ("root", f"{ADMIN}/"),
        "admin index (finance)": ("finance", f"{ADMIN}/"),
    }
    return found | _queue(review) | _lists(task)


def _queue(review: Interrupt) -> dict[str, tuple[str, str]]:
    found = {}
    for who in ("root", "finance"):
        for query in ("", "?status=mine", "?status=high", "?status=decided", "?status=all", "?tool=tool4", "?q=tool4"):
            found[f"queue {query} ({who})"] = (who, QUEUE + query)
        found[f"queue, page 2 ({who})"] = (who, f"{QUEUE}?p=2")
        found[f"a review ({who})"] = (who, f"{QUEUE}{review.pk}/change/")
        found[f"first review ({who})"] = (who, f"{QUEUE}first/")
    return found


def _lists(task: Task) -> dict[str, tuple[str, str]]:
    lists = {
        TASKS: ("", "?p=2", "?status__exact=error", "?status__exact=cancelled", "?q=breakfast", f"?q={task.task_id}"),
        SESSIONS: ("", "?p=2", f"?q={USER_ID}", "?q=Session"),
        CALLS: ("", "?p=2", "?status__exact=failed", "?status__exact=started", "?tool=retired", "?q=letter"),
        MODEL_CALLS: ("", "?p=2", "?model=retired", f"?q={USER_ID}", "?q=model1"),
        AUDIT: ("", "?p=2", "?verb__exact=rule_created", "?q=ruth", f"?q={task.pk}"),
        MEMORIES: ("", "?p=2", "?status__exact=pending", f"?q={USER_ID}"),
        DELIVERIES: ("", "?p=2", "?status__exact=failed"),
    }
    found = {
        f"admin {address.split('/')[3]} list {query}": ("root", address + query)
        for address, queries in lists.items()
        for query in queries
    }
    return found | {
        "admin tasks (finance)": ("finance", TASKS),
        "admin sessions (viewer)": ("viewer", SESSIONS),
        "admin task": ("root", f"{TASKS}{task.pk}/change/"),
        "admin session": ("root", f"{SESSIONS}{task.session_id}/change/"),
        "admin model call": ("root", f"{MODEL_CALLS}{task.model_calls.get().pk}/change/"),
        "admin tool call": ("root", f"{CALLS}{task.tool_calls.get().pk}/change/"),
    }


def _batch_of_sessions() -> None:
    old = retention.Old(timezone.now() - timedelta(days=300))
    list(old.sessions().order_by("created_at", "pk").values_list("created_at", "pk")[:50])


def _cleanup() -> None:
    call_command("cleanup_sessions", "--older-than", "390d", "--dry-run", "--no-progress", stdout=StringIO())


def chores() -> dict[str, Callable[[], Any]]:
    """Return the workers' regular duties, and commands."""
    duties: dict[str, Callable[[], Any]] = {f"sweeper: {duty.__name__}": duty for duty in sweeper.DUTIES}
    return duties | {
        "sweeper: near_expiry": outbox.near_expiry,
        "sweeper: count_ended": metrics.count_ended,
        "housekeeping: batch of sessions": _batch_of_sessions,
        "cleanup_sessions --dry-run": _cleanup,
    }
