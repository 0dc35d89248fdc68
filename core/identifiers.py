"""Ids that clients choose: user_id, session_id, task_id."""

import re
import unicodedata
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from typing_extensions import override

MAX_LENGTH = 128
_ALLOWED = re.compile(r"[\w.\-@:+|]+")


def identifier(value: str) -> str:
    """Return the id in its stored form (NFC).

    Raises:
        ValueError: it is empty, too long, `.` or `..`, or has a character outside letters, digits and `. _ - @ : + |`.
    """
    value = unicodedata.normalize("NFC", value)
    if not 1 <= len(value) <= MAX_LENGTH:
        raise ValueError(_("IDs must have 1 to %(limit)s characters.") % {"limit": MAX_LENGTH})
    if value in {".", ".."} or not _ALLOWED.fullmatch(value):
        raise ValueError(_("IDs can contain letters, digits and . _ - @ : + | but can't be . or .."))
    return value


def stored(given: str) -> str:
    """Return an id from a path in its stored form, or "", which no object has, if it can't be an id."""
    try:
        return identifier(given)
    except ValueError:
        return ""


class IdentifierField(serializers.Field[str, Any, str, Any]):
    """A client's id. It accepts only JSON strings; DRF's CharField would take 5 for "5"."""

    @override
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("IDs must be strings.")
        try:
            return identifier(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error

    @override
    def to_representation(self, value: str) -> str:
        return value
