"""Errors that the client raises."""

from typing import Any

import httpx

# What becomes of connections. Other errors of httpx say that the address or the key can't be used.
BROKEN = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError)
NO_JSON = "no_json"  # the code of a response that is none of the service
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class AgentsiteError(Exception):
    """Base class of the client's errors."""


class ApiError(AgentsiteError):
    """The service has refused the request, or a proxy before it.

    Attributes:
        status: the HTTP status.
        code: what programs rely on, such as `session_busy`; `no_json` if the response is none of the service.
        detail: what happened, in English.
        errors: the problems by field.
        retry_after: seconds after which the service wants to be asked again, or None.
        body: the whole response, such as the existing decision of an `already_decided`.
    """

    def __init__(self, status: int, body: dict[str, Any], retry_after: float | None = None) -> None:
        self.status, self.body, self.retry_after = status, body, retry_after
        self.code = str(body.get("code", NO_JSON))
        self.detail = str(body.get("detail", ""))
        self.errors: dict[str, list[str]] = body.get("errors") or {}
        problems = "".join(f" {field}: {' '.join(texts)}" for field, texts in self.errors.items())
        super().__init__(f"{status} {self.code}: {self.detail}{problems}")


class Unreachable(AgentsiteError):
    """The service could not be reached, or the connection broke before the response was there.

    Attributes:
        was_sent: whether the service may have received the request.
    """

    def __init__(self, reason: str, *, was_sent: bool) -> None:
        self.was_sent = was_sent
        super().__init__(reason)


class NotInTime(AgentsiteError, TimeoutError):
    """The task has neither ended nor asked a question in the time that was given. It continues."""


def raise_for(response: httpx.Response) -> None:
    """Raise ApiError unless the response is a success. Its body must have been read."""
    if response.is_success:
        return
    given = response.headers.get("Retry-After", "")
    retry_after = float(given) if given.isascii() and given.isdigit() else None
    raise ApiError(response.status_code, _object(response), retry_after)


def json_of(response: httpx.Response) -> Any:
    """Return the JSON of a response that is a success. Raises ApiError."""
    raise_for(response)
    try:
        return response.json()
    except ValueError as error:
        raise ApiError(response.status_code, {"detail": "The response is no JSON."}) from error


def unreachable(error: httpx.TransportError) -> Unreachable:
    """Describe an error of the connection."""
    return Unreachable(f"{type(error).__name__}: {error}".rstrip(": "), was_sent=not isinstance(error, NEVER_SENT))


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"detail": f"{response.reason_phrase}: {response.text[:200]}"}
