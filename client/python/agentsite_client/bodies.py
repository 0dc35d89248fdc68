"""Paths and bodies of requests, as plain data."""

import uuid
from typing import Any, Literal, TypedDict
from urllib.parse import quote

from agentsite_client.types import NamedTask

ResponseType = Literal["accept", "edit", "response", "reject"]


class Submission(TypedDict, total=False):
    """What `invoke` takes besides the query."""

    user_id: str  # by default, the caller
    session_id: str  # by default, a new one
    task_id: str  # by default, a new one
    system_message: str | None
    agent: str
    multitask_strategy: Literal["enqueue", "reject", "interrupt", "rollback"]


class NewSession(TypedDict, total=False):
    """What `open_session` takes."""

    user_id: str
    session_id: str
    title: str | None
    agent: str


class Decision(TypedDict, total=False):
    """What a decision says besides its type."""

    args: Any  # edit: the full arguments; response: a string that replaces the result
    message: str | None  # reject: the reason
    override_reason: str | None


class Choice(Decision, total=False):
    """A decision of a question."""

    interrupt_id: str


def path(*parts: str) -> str:
    """Return the path of these parts, which may be in any script. Raises ValueError for what can be no part."""
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"{part!r} is no ID")
    return "/" + "/".join(quote(part, safe="") for part in parts)


def path_of(kind: str, task: NamedTask) -> str:
    """Return a path that ends with the IDs of a task."""
    return path("agent", kind, task["user_id"], task["session_id"], task["task_id"])


def ids_of(task: NamedTask) -> dict[str, Any]:
    """Return only the IDs of a task."""
    return {"user_id": task["user_id"], "session_id": task["session_id"], "task_id": task["task_id"]}


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def submission(query: str, fields: Submission) -> dict[str, Any]:
    """Return the body of a submission. It has both IDs, so that sending it twice starts one task."""
    body = given(query=query, **fields)
    if "task_id" not in body:
        body.setdefault("session_id", str(uuid.uuid4()))
        body["task_id"] = str(uuid.uuid4())
    return body


def opening(fields: NewSession) -> dict[str, Any]:
    """Return the body that opens a session, with its ID."""
    return {"session_id": str(uuid.uuid4()), **given(**fields)}
