"""Time zones that a person can choose, by their IANA names."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


@cache
def names() -> tuple[str, ...]:
    """Return all names, sorted. They are cached because they are read from hundreds of files."""
    return tuple(sorted(available_timezones()))


def require_known(name: str) -> None:
    """Raise ValidationError if there is no such time zone."""
    if name not in names():
        raise ValidationError(_("There is no such time zone."), code="unknown_zone")


def zone(name: str) -> ZoneInfo | None:
    """Return the time zone of this name, or None for "" and for a name that a newer tzdata no longer has."""
    return ZoneInfo(name) if name in names() else None
