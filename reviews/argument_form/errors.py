"""Messages for JSON Schema validation errors, and the arguments that they belong to."""

from typing import Any

import jsonschema
from django.utils.translation import gettext_lazy as _

from core.text import visible

MESSAGES: dict[str, Any] = {
    "type": _("This has the wrong type."),
    "enum": _("Choose one of these."),
    "const": _("This can't be changed."),
    "minimum": _("At least %(limit)s."),
    "maximum": _("At most %(limit)s."),
    "exclusiveMinimum": _("More than %(limit)s."),
    "exclusiveMaximum": _("Less than %(limit)s."),
    "multipleOf": _("A multiple of %(limit)s."),
    "minLength": _("At least %(limit)s characters."),
    "maxLength": _("At most %(limit)s characters."),
    "minItems": _("At least %(limit)s items."),
    "maxItems": _("At most %(limit)s items."),
    "uniqueItems": _("Each item must be unique."),
    "pattern": _("This does not match the format %(limit)s"),
    "required": _("A value is required."),
    "format": _("This does not match the format %(limit)s"),
    "contains": _("A required item is missing from the list."),
    "minProperties": _("At least %(limit)s entries."),
    "maxProperties": _("At most %(limit)s entries."),
    "additionalProperties": _("The tool has no such argument."),
}


FORMATS: dict[str, Any] = {
    "date": _("Enter a date such as 2026-01-31."),
    "time": _("Enter a time such as 09:30:00."),
    "date-time": _("Enter a date and time such as 2026-01-31T09:30:00Z."),
    "duration": _("Enter a duration such as PT1H30M (one and a half hours)."),
    "email": _("Enter an email address."),
    "idn-email": _("Enter an email address."),
    "uri": _("Enter a full address such as https://example.com/page."),
    "uuid": _("Enter a UUID such as 123e4567-e89b-12d3-a456-426614174000."),
}


def explained(error: jsonschema.ValidationError) -> tuple[list[Any], str]:
    """Return the path of the argument that a schema error belongs to, and the message to show there."""
    while error.context:  # of several branches' errors, take the deepest; a type error only if there is no other
        nearest = [one for one in error.context if one.validator != "type"] or error.context
        error = max(nearest, key=lambda one: len(one.absolute_path))
    path = list(error.absolute_path)
    if error.validator == "required" and isinstance(error.instance, dict):
        needed: list[str] = list(error.validator_value)  # type: ignore[arg-type]
        path += [name for name in needed if name not in error.instance][:1]
    return path, visible(_said(error))


def _said(error: jsonschema.ValidationError) -> str:
    if error.validator == "format" and error.validator_value in FORMATS:
        return str(FORMATS[str(error.validator_value)])
    if text := MESSAGES.get(str(error.validator)):
        return str(text) % {"limit": error.validator_value}
    return str(_("This does not fit the tool's schema: %(error)s")) % {"error": error.message}
