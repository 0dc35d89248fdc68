"""System check of the notices, so that `manage.py check` finds mistakes before the first notice is due."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error

MAX_DAYS = 36_500
MAX_TRIES = 20
RANGES: dict[str, tuple[float, float]] = {
    "NOTICE_TRIES": (1, MAX_TRIES),
    "NOTICE_RETRY_SECONDS": (0.1, 86_400),
    "NOTICE_TIMEOUT_SECONDS": (0.1, 60),  # well below delivery.LEASE
    "NOTICE_NEAR_EXPIRY_SECONDS": (0, 365 * 86_400),
    "NOTICE_NEAR_EXPIRY_SHARE": (0, 1),
    "NOTICE_RETENTION_DAYS": (0, MAX_DAYS),
}


def notices(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the settings of docs/how-to/notices.md."""
    found: list[CheckMessage] = []
    if not _is_base(settings.PUBLIC_URL):
        hint = "Use the address at which people reach this site, for example https://agents.example.com."
        found.append(
            Error(f"PUBLIC_URL is {settings.PUBLIC_URL!r}, which is not a valid address.", hint=hint, id="notices.E001")
        )
    for text in settings.WEBHOOK_ALLOW_NETWORKS:
        try:
            ip_network(text.strip(), strict=False)
        except ValueError:
            hint = "Use networks such as 10.1.0.0/16 or fd00:1::/64, separated by commas."
            found.append(
                Error(
                    f"WEBHOOK_ALLOW_NETWORKS contains {text!r}, which is not a valid network.",
                    hint=hint,
                    id="notices.E002",
                )
            )
    for name, (low, high) in RANGES.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            found.append(
                Error(f"{name} is {value:g}.", hint=f"Use a value from {low:g} to {high:g}.", id="notices.E003")
            )
    return found


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
