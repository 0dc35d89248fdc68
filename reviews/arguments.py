"""The arguments that a person gives, held against the tool's schema."""

from typing import Any

import jsonschema

from agents.models import Interrupt
from agentsite.core.errors import Invalid
from agentsite.core.text import canonical


def edited(review: Interrupt, given: Any) -> dict[str, Any]:
    """The full edited arguments. The original system's clients wrap them in {"args": …}.

    Raises Invalid, with an error for each field that does not fit.
    """
    schema = review.args_schema
    known = set(schema.get("properties", {}))
    if isinstance(given, dict) and set(given) == {"args"} and "args" not in known and isinstance(given["args"], dict):
        given = given["args"]
    if not isinstance(given, dict):
        raise Invalid(errors={"args": ["An edit needs the full arguments as an object."]})
    errors: dict[str, list[str]] = {}
    if known or not schema.get("additionalProperties", True):
        for name in sorted(set(given) - known):
            errors.setdefault(name, []).append("The tool has no such argument.")
    for error in jsonschema.Draft202012Validator(schema).iter_errors(given):
        field = str(error.absolute_path[0]) if error.absolute_path else _missing(error) or "args"
        errors.setdefault(field, []).append(error.message)
    if errors:
        raise Invalid("The arguments do not fit the tool.", errors=errors)
    return given


def is_unchanged(review: Interrupt, args: dict[str, Any]) -> bool:
    """Whether these are the arguments that were asked, to the last digit."""
    return canonical(args) == review.args_text


def _missing(error: jsonschema.ValidationError) -> str:
    """The name of a required argument that is not there."""
    if error.validator != "required" or not isinstance(error.instance, dict):
        return ""
    schema_value: list[str] = list(error.validator_value)  # type: ignore[arg-type]
    return next((name for name in schema_value if name not in error.instance), "")
