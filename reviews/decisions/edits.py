"""Validation of edited arguments against the tool's schema."""

from collections.abc import Iterator
from typing import Any

import jsonschema
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents import json_schema
from agents.models import Interrupt
from core.errors import Invalid
from core.text import same
from reviews.argument_form.formats import CHECKER

UNREADABLE = gettext_lazy("The tool's schema can't be read, so these arguments can only be approved unchanged.")


def edited(review: Interrupt, given: Any) -> dict[str, Any]:
    """Return the full edited arguments. Clients of the original system wrap them in {"args": …}.

    They have the form that the tool's own validation would give them, as far as a schema can express it: with defaults
    filled in, and integers as floats where the schema says `number`. So the policy judges, and the person approves,
    exactly what will run.

    Raises Invalid, with an error for each field that does not fit.
    """
    schema = json_schema.modern(review.args_schema)
    known = schema.get("properties", {})
    if isinstance(given, dict) and set(given) == {"args"} and "args" not in known and isinstance(given["args"], dict):
        given = given["args"]
    if not isinstance(given, dict):
        raise Invalid(errors={"args": [_("For an edit, send the full arguments as an object.")]})
    errors: dict[str, list[str]] = {}
    if _is_closed(schema):
        accepted = {*known, *review.args}  # the tool itself has accepted the requested ones
        for name in sorted(set(given) - accepted):
            errors.setdefault(name, []).append(_("The tool has no such argument."))
    for error in _found(schema, given, review.args):
        field = str(error.absolute_path[0]) if error.absolute_path else _missing(error) or "args"
        errors.setdefault(field, []).append(error.message)
    if errors:
        raise Invalid(_("The arguments are not valid for the tool."), errors=errors)
    return dict(_completed(schema, given, schema.get("$defs", {})))


def _is_closed(schema: dict[str, Any]) -> bool:
    """Return whether the tool has no other arguments than those listed.

    A list without a word about others is closed, too: most tools drop what they don't know.
    """
    if "patternProperties" in schema:  # the schema's own check knows which names they allow
        return False
    return schema.get("additionalProperties", "properties" not in schema) is False


def problems(schema: Any, given: Any, asked: Any) -> Iterator[jsonschema.ValidationError]:
    """Yield the schema's errors for the given arguments. An unreadable schema can raise any exception.

    Values must have the schema's formats unless they are among the requested ones: the tool itself has accepted those,
    and a reviewer need not correct them in order to change something else.
    """
    known = set(_texts(asked))
    checker = json_schema.validator(schema, CHECKER)
    for error in checker.iter_errors(given):
        if not _is_known(error, known):
            yield error


def _found(schema: Any, given: Any, asked: Any) -> list[jsonschema.ValidationError]:
    try:
        return list(problems(schema, given, asked))
    except Exception as error:  # a tool's schema, perhaps from another server, can be broken in many ways
        raise Invalid(errors={"args": [str(UNREADABLE)]}) from error


def _is_known(error: jsonschema.ValidationError, known: set[tuple[Any, ...]]) -> bool:
    """Return whether the error is only about the format of requested values."""
    if error.validator in ("anyOf", "oneOf"):  # apart from that, one of its branches fits
        branches: dict[Any, list[jsonschema.ValidationError]] = {}
        for one in error.context or ():
            branches.setdefault(one.schema_path[0], []).append(one)
        return any(all(_is_known(one, known) for one in branch) for branch in branches.values())
    return error.validator == "format" and (*_names(error.absolute_path), error.instance) in known


def _texts(value: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield each scalar value, preceded by the names that lead to it. Positions in lists are left out."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _texts(part, (*way, name))
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, way)
    else:
        yield (*way, value)


def _names(path: Any) -> tuple[str, ...]:
    return tuple(one for one in path if isinstance(one, str))


def is_unchanged(review: Interrupt, args: dict[str, Any]) -> bool:
    """Return whether these are the requested arguments, to the last digit."""
    return same(args, review.args)


def _completed(schema: Any, value: Any, defs: dict[str, Any]) -> Any:
    """Return the value with defaults filled in, in the schema's order, and with floats where it says `number`."""
    schema = _resolved(schema, defs)
    if isinstance(value, bool) or not isinstance(schema, dict):
        return value
    if isinstance(value, int) and schema.get("type") == "number":
        return float(value)
    if isinstance(value, list):
        return [_completed(schema.get("items"), item, defs) for item in value]
    if not isinstance(value, dict):
        return value
    known = {name: part if isinstance(part, dict) else {} for name, part in schema.get("properties", {}).items()}
    full = {name: part.get("default") for name, part in known.items() if name in value or "default" in part}
    return {name: _completed(known.get(name), item, defs) for name, item in {**full, **value}.items()}


def _resolved(schema: Any, defs: dict[str, Any]) -> Any:
    """Resolve a reference into the schema's own definitions. Return any other schema unchanged."""
    reference = schema.get("$ref", "") if isinstance(schema, dict) else ""
    return defs.get(reference.removeprefix("#/$defs/"), schema) if reference.startswith("#/$defs/") else schema


def _missing(error: jsonschema.ValidationError) -> str:
    """Return the name of the missing required argument; "" if the error is about something else."""
    if error.validator != "required" or not isinstance(error.instance, dict):
        return ""
    schema_value: list[str] = list(error.validator_value)  # type: ignore[arg-type]
    return next((name for name in schema_value if name not in error.instance), "")
