"""Whether a session has shown what the service asks for."""

from typing import Any

from django.conf import settings


def is_missing(user: Any) -> bool:
    """Whether a second factor is required (ADMIN_REQUIRE_OTP) and this session's user has shown none.

    `user` is `request.user` as django-otp's middleware left it.
    """
    return settings.ADMIN_REQUIRE_OTP and getattr(user, "otp_device", None) is None
