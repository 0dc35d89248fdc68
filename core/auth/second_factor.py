"""Second-factor requirement for admin sessions."""

from typing import Any

from django.conf import settings


def is_missing(user: Any) -> bool:
    """Return whether a second factor is required (ADMIN_REQUIRE_OTP) and this session has not passed it.

    `user` is `request.user` as set by django-otp's middleware.
    """
    return settings.ADMIN_REQUIRE_OTP and getattr(user, "otp_device", None) is None
