"""The time zones that a person can choose, by their IANA names."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


@cache
def names() -> tuple[str, ...]:
    """All of them, in order. Read once: they are hundreds of files."""
    return tuple(sorted(available_timezones()))


def require_known(name: str) -> None:
    """Raises ValidationError where there is no such time zone."""
    if name not in names():
        raise ValidationError(_("There is no such time zone."), code="unknown_zone")


def zone(name: str) -> ZoneInfo | None:
    """The time zone of this name; None for "", and for one that a newer tzdata does not have any more."""
    return ZoneInfo(name) if name in names() else None
