"""Errors by kind. `agentsite/api/errors.py` maps a kind to HTTP.

A message is translated when the error is created: English in the API, the reader's language in the admin.
"""

from typing import Any

from django.utils.translation import gettext, gettext_noop


class AgentsiteError(Exception):
    """Base class of errors that the API and the admin report to the caller."""

    default_detail = gettext_noop("The request could not be completed.")
    code = "error"

    def __init__(self, detail: str = "", *, code: str = "", **extra: Any) -> None:
        self.detail = detail or gettext(self.default_detail)
        self.code = code or self.code
        self.extra = extra  # further keys of the JSON body
        super().__init__(self.detail)


class Invalid(AgentsiteError):
    """Error for invalid input."""

    default_detail = gettext_noop("The input is not valid.")
    code = "invalid"

    def __init__(self, detail: str = "", *, errors: dict[str, list[str]] | None = None, code: str = "") -> None:
        super().__init__(detail, code=code, **({"errors": errors} if errors else {}))


class NotFound(AgentsiteError):
    """Error for an object that does not exist or that the caller may not see."""

    default_detail = gettext_noop("Not found.")
    code = "not_found"


class NotAllowed(AgentsiteError):
    """Error for a missing permission."""

    default_detail = gettext_noop("You are not allowed to do this.")
    code = "not_allowed"


class Conflict(AgentsiteError):
    """Error for a state of the object that does not allow the operation."""

    default_detail = gettext_noop("The current state of the object does not allow this.")
    code = "conflict"


class TooMany(AgentsiteError):
    """Error for an exceeded limit."""

    default_detail = gettext_noop("Too many requests.")
    code = "too_many"

    def __init__(self, detail: str = "", *, retry_after: int, code: str = "") -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after  # seconds


class RateLimited(TooMany):
    """Error for an exceeded rate."""

    default_detail = gettext_noop(
        "Too many requests in a short time. Wait for the number of seconds in Retry-After, then try again."
    )
    code = "rate_limited"
