"""The client for asyncio. `make clients` writes client.py, the one without, from this file."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from agentsite_client import bodies, errors, events, retries, types
from agentsite_client.bodies import Choice, Decision, NewSession, ResponseType, Submission

UNDECIDED = ("pending", "running")
LONGEST_WAIT = 50  # seconds that one request waits for a task: proxies often give up after 60
BETWEEN = 0.2  # seconds between two of them, in case that something answers at once
STEADY = 5.0  # seconds after which a connection counts as one that worked


class AsyncClient:
    """A connection to one Agentsite service.

    Args:
        url: the address of the service, such as `http://127.0.0.1:8000`.
        key: an API key.
        timeout: seconds to wait for a response.
        patience: seconds for which a request that fails for a passing reason (no connection, 429, 503) is tried
            again. A request that the service would not recognize is only repeated if nothing can have happened.
        silence: seconds without a byte after which the connection of a stream counts as dead. The service sends
            something every 10 seconds.

    Each method raises ApiError if the service refuses, and Unreachable if it can't be reached for so long.
    """

    def __init__(
        self, url: str, key: str, *, timeout: float = 30.0, patience: float = 60.0, silence: float = 30.0
    ) -> None:
        headers = {"Authorization": f"Bearer {key.strip()}", "User-Agent": "agentsite-client"}
        self._http = httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=timeout)
        self._timeout, self._patience, self._silence = timeout, patience, silence

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # Tasks

    async def invoke(self, query: str, **fields: Unpack[Submission]) -> types.NamedTask:
        """Submit a task and return its IDs. However often the request is repeated, one task starts."""
        return await self.request("POST", "/agent/invoke", bodies.submission(query, fields))

    async def run(self, query: str, *, seconds: float | None = None, **fields: Unpack[Submission]) -> types.Task:
        """Submit a task, and return it once it has ended or waits for a person. Raises NotInTime."""
        return await self.wait(await self.invoke(query, **fields), seconds=seconds)

    async def status(self, task: types.NamedTask) -> types.Task:
        """Return a task as it is now."""
        return await self.request("GET", bodies.path_of("status", task))

    async def wait(self, task: types.NamedTask, *, seconds: float | None = None) -> types.Task:
        """Return a task once it has ended or waits for a person. Raises NotInTime after so many seconds."""
        until = math.inf if seconds is None else time.monotonic() + seconds
        while True:
            held = math.ceil(max(0.0, min(LONGEST_WAIT, until - time.monotonic())))
            path = bodies.path_of("status", task)
            found: types.Task = await self.request("GET", path, params={"wait": held}, held=held)
            if found["status"] not in UNDECIDED:
                return found
            if time.monotonic() >= until:
                raise errors.NotInTime(f"The task is {found['status']} after {seconds:g} s.")
            await asyncio.sleep(BETWEEN)

    def tasks(self, user_id: str, session_id: str) -> AsyncGenerator[types.TaskRow, None]:
        """Yield the tasks of a session, oldest first."""
        return self._all("tasks", bodies.path("agent", "tasks", user_id, session_id))

    async def cancel(self, task: types.NamedTask) -> types.Cancelled:
        """Cancel a task. One that has ended stays as it is."""
        return await self.request("POST", "/agent/cancel", bodies.ids_of(task))

    async def delete_task(self, task: types.NamedTask) -> types.Done:
        """Delete a task and everything that belongs to it."""
        return await self.request("DELETE", bodies.path_of("task", task))

    async def resume(self, task: types.NamedTask, response_type: ResponseType, **choice: Unpack[Choice]) -> None:
        """Decide a question of a task, which then continues. `interrupt_id` says which, if it has asked several."""
        body = {**bodies.ids_of(task), **bodies.given(response_type=response_type, **choice)}
        await self.request("POST", "/agent/resume", body)

    async def resume_all(self, task: types.NamedTask, decisions: Sequence[types.Addressed]) -> None:
        """Decide several questions of a task at once: all of them, or none if one decision is refused."""
        await self.request("POST", "/agent/resume", {**bodies.ids_of(task), "decisions": list(decisions)})

    # Streams

    def stream(self, task: types.NamedTask, *, after: str = "") -> AsyncGenerator[events.Event, None]:
        """Yield what happens in a task, from its first event or after the `id` of one, to `end`.

        A connection that breaks is replaced, as often as it takes: nothing is lost or repeated. The reader of a task
        that waits for a person waits as well. Raises ApiError once the caller may not see the task.
        """
        return self._events(bodies.path_of("stream", task), after)

    def stream_session(self, user_id: str, session_id: str, *, after: str = "") -> AsyncGenerator[events.Event, None]:
        """Yield what happens in the tasks of a session that have not ended, and in all that follow.

        It ends only if the session is deleted.
        """
        path = bodies.path("agent", "session", user_id, session_id, "stream")
        return self._events(path, after)

    # Sessions

    async def open_session(self, **fields: Unpack[NewSession]) -> types.Session:
        """Open a session before its first task, or return the existing one."""
        return await self.request("POST", "/agent/session", bodies.opening(fields))

    async def session(self, user_id: str, session_id: str) -> types.Conversation:
        """Return a session with the first page of its messages."""
        return await self.request("GET", bodies.path("agent", "session", user_id, session_id))

    def messages(self, user_id: str, session_id: str) -> AsyncGenerator[types.SessionMessage, None]:
        """Yield all messages of a session, oldest first."""
        return self._all("messages", bodies.path("agent", "session", user_id, session_id))

    def sessions(self, user_id: str) -> AsyncGenerator[str, None]:
        """Yield the IDs of a user's sessions, newest first."""
        return self._all("session_ids", bodies.path("agent", "sessionids", user_id))

    async def active_session(self, user_id: str) -> str:
        """Return the ID of the session whose task changed last, or an empty string."""
        found: types.ActiveSession = await self.request("GET", bodies.path("agent", "active", "sessionid", user_id))
        return found["active_session_id"]

    async def delete_session(self, user_id: str, session_id: str) -> types.Done:
        """Delete a session and everything that belongs to it."""
        return await self.request("DELETE", bodies.path("agent", "session", user_id, session_id))

    # Memories

    async def write_memory(self, text: str, *, user_id: str | None = None) -> types.Written:
        """Store a text as a memory. A text that is already stored stays one memory."""
        return await self.request("POST", "/agent/write/longterm", bodies.given(memory_info=text, user_id=user_id))

    def memories(self, user_id: str) -> AsyncGenerator[types.Memory, None]:
        """Yield a user's memories that are active or wait for approval, newest first."""
        return self._all("results", bodies.path("agent", "longterm", user_id))

    async def search_memories(self, user_id: str, query: str, *, limit: int = 10) -> list[types.Memory]:
        """Return the memories that match these words best."""
        params = {"query": query, "limit": limit}
        found: types.MemoryList = await self.request("GET", bodies.path("agent", "longterm", user_id), params=params)
        return found["results"]

    async def change_memory(self, user_id: str, memory_id: str, text: str) -> types.Memory:
        """Replace the text of a memory, and return the memory with its new ID."""
        path = bodies.path("agent", "longterm", user_id, memory_id)
        return await self.request("PATCH", path, {"memory_info": text}, repeatable=False)

    async def forget_memory(self, user_id: str, memory_id: str) -> types.Done:
        """Forget a memory."""
        return await self.request("DELETE", bodies.path("agent", "longterm", user_id, memory_id))

    # Reviews

    def reviews(self, *, status: str | None = None) -> AsyncGenerator[types.Review, None]:
        """Yield the reviews that the caller may see, oldest first; `pending` ones wait for a decision."""
        return self._all("results", "/reviews", status=status)

    async def review(self, review_id: str) -> types.Review:
        """Return a review."""
        return await self.request("GET", bodies.path("reviews", review_id))

    async def claim(self, review: types.Review, *, take_over: bool = False) -> types.Review:
        """Show other reviewers for five minutes that the caller works on this review."""
        return await self.request("POST", bodies.path("reviews", review["id"], "claim"), {"take_over": take_over})

    async def release(self, review: types.Review) -> types.Review:
        """Release the caller's claim on a review."""
        return await self.request("POST", bodies.path("reviews", review["id"], "release"), {})

    async def decide(
        self, review: types.Review, response_type: ResponseType, **choice: Unpack[Decision]
    ) -> types.Review:
        """Decide a review as it was read: if it has changed since, nothing is decided."""
        body = bodies.given(response_type=response_type, version=review["version"], **choice)
        return await self.request("POST", bodies.path("reviews", review["id"], "decide"), body)

    # Any request

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: dict[str, Any] | None = None,
        repeatable: bool = True,
        held: float = 0.0,
    ) -> Any:
        """Send a request, again if it fails for a passing reason, and return the JSON of the response.

        Args:
            repeatable: whether the service may get it twice, as when the connection broke before the response.
            held: seconds for which the service may hold the response back.
        """
        tries, may_be_done = retries.Tries(self._patience), False
        while True:
            try:
                return await self._once(method, path, body, params, held)
            except errors.AgentsiteError as error:
                if method == "DELETE" and may_be_done and retries.is_missing(error):
                    return {"status": "success", "message": "An earlier request has deleted it."}
                if not retries.is_passing(error, repeatable=repeatable):
                    raise
                may_be_done = may_be_done or retries.is_unsure(error)
                pause = tries.pause_after(error)
            await asyncio.sleep(pause)

    async def _once(self, method: str, path: str, body: Any, params: dict[str, Any] | None, held: float) -> Any:
        timeout = httpx.Timeout(self._timeout, read=self._timeout + held)
        try:
            response = await self._http.request(method, path, json=body, params=params, timeout=timeout)
        except errors.BROKEN as error:
            raise errors.unreachable(error) from error
        return errors.json_of(response)

    async def _all(self, field: str, path: str, **params: Any) -> AsyncGenerator[Any, None]:
        cursor: str | None = None
        while True:
            page = await self.request("GET", path, params=bodies.given(cursor=cursor, **params))
            for one in page[field]:
                yield one
            cursor = page["next"]
            if cursor is None:
                return

    async def _events(self, path: str, after: str) -> AsyncGenerator[Any, None]:
        tries, texts, cursor = retries.Tries(self._patience), events.Texts(), after
        while True:
            began = time.monotonic()
            try:
                async with aclosing(self._connection(path, cursor)) as found:
                    async for event in found:
                        tries.forget()
                        cursor = event.id or cursor
                        if (new := texts.rest_of(event)) is not None:
                            yield new
                        if event.kind == "end":
                            return
                failure: errors.AgentsiteError = errors.Unreachable("The stream ended too early.", was_sent=True)
            except errors.AgentsiteError as error:
                if not retries.is_passing(error, repeatable=True):
                    raise
                failure = error
            if time.monotonic() - began > STEADY:
                tries.forget()
            await asyncio.sleep(tries.pause_after(failure))

    async def _connection(self, path: str, cursor: str) -> AsyncGenerator[Any, None]:
        """Yield the events of one connection."""
        decoder, timeout = events.Decoder(), httpx.Timeout(self._timeout, read=self._silence)
        params = {"after": cursor} if cursor else {}
        try:
            async with self._http.stream("GET", path, params=params, timeout=timeout) as response:
                if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                    await response.aread()
                    errors.raise_for(response)
                    raise errors.ApiError(response.status_code, {"detail": "The response is no stream of events."})
                async for data in response.aiter_bytes():
                    for event in decoder.feed(data):
                        yield event
        except errors.BROKEN as error:
            raise errors.unreachable(error) from error
