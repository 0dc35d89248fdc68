"""Errors by kind. `agentsite/api/errors.py` maps a kind to HTTP; a class's docstring is its default message.

A message is translated when the error is created: English in the API, the reader's language in the admin.
"""

from typing import Any

from django.utils.translation import gettext


class AgentsiteError(Exception):
    """The request could not be carried out."""

    code = "error"

    def __init__(self, detail: str = "", *, code: str = "", **extra: Any) -> None:
        self.detail = detail or gettext((type(self).__doc__ or "").strip())
        self.code = code or self.code
        self.extra = extra  # further keys of the JSON body
        super().__init__(self.detail)


class Invalid(AgentsiteError):
    """The input is not valid."""

    code = "invalid"

    def __init__(self, detail: str = "", *, errors: dict[str, list[str]] | None = None, code: str = "") -> None:
        super().__init__(detail, code=code, **({"errors": errors} if errors else {}))


class NotFound(AgentsiteError):
    """Not found."""

    code = "not_found"


class NotAllowed(AgentsiteError):
    """You are not allowed to do this."""

    code = "not_allowed"


class Conflict(AgentsiteError):
    """The thing is in a state that does not allow this."""

    code = "conflict"


class TooMany(AgentsiteError):
    """Too many requests."""

    code = "too_many"

    def __init__(self, detail: str = "", *, retry_after: int, code: str = "") -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after  # seconds


class RateLimited(TooMany):
    """Too many requests in a short time. Retry-After says when there is room again."""

    code = "rate_limited"
