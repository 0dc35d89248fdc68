"""The arguments that a person gives, held against the tool's schema."""

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

UNREADABLE = gettext_lazy("The tool's schema can't be read: these arguments can only be approved as they are.")


def edited(review: Interrupt, given: Any) -> dict[str, Any]:
    """The full edited arguments. The original system's clients wrap them in {"args": …}.

    In the form that the tool's own validation would give them, as far as a schema can say it: defaults filled in, whole
    numbers as the numbers that they stand for. The policy judges, and the person agrees to, what will run.

    Raises Invalid, with an error for each field that does not fit.
    """
    schema = json_schema.modern(review.args_schema)
    known = schema.get("properties", {})
    if isinstance(given, dict) and set(given) == {"args"} and "args" not in known and isinstance(given["args"], dict):
        given = given["args"]
    if not isinstance(given, dict):
        raise Invalid(errors={"args": [_("An edit needs the full arguments as an object.")]})
    errors: dict[str, list[str]] = {}
    if not schema.get("additionalProperties", "properties" not in schema):
        for name in sorted(set(given) - set(known)):
            errors.setdefault(name, []).append(_("The tool has no such argument."))
    for error in _found(schema, given, review.args):
        field = str(error.absolute_path[0]) if error.absolute_path else _missing(error) or "args"
        errors.setdefault(field, []).append(error.message)
    if errors:
        raise Invalid(_("The arguments do not fit the tool."), errors=errors)
    return dict(_completed(schema, given, schema.get("$defs", {})))


def problems(schema: Any, given: Any, asked: Any) -> Iterator[jsonschema.ValidationError]:
    """What the schema has against the given arguments. Raises whatever a schema that can't be read makes it raise.

    Values obey the schema's formats, unless they are among what was asked: that is what the tool itself has accepted,
    and nobody has to correct it in order to change something else.
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
    """Whether the error is about nothing but the format of values that were asked."""
    if error.validator in ("anyOf", "oneOf"):  # one of its branches fits but for that
        branches: dict[Any, list[jsonschema.ValidationError]] = {}
        for one in error.context or ():
            branches.setdefault(one.schema_path[0], []).append(one)
        return any(all(_is_known(one, known) for one in branch) for branch in branches.values())
    return error.validator == "format" and (*_names(error.absolute_path), error.instance) in known


def _texts(value: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The values that are no objects or lists, each behind the names that lead to it; places in lists say nothing."""
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
    """Whether these are the arguments that were asked, to the last digit."""
    return same(args, review.args)


def _completed(schema: Any, value: Any, defs: dict[str, Any]) -> Any:
    """The value with defaults filled in, in the schema's order, and with floats where it says `number`."""
    schema = _resolved(schema, defs)
    if isinstance(value, bool) or not isinstance(schema, dict):
        return value
    if isinstance(value, int) and schema.get("type") == "number":
        return float(value)
    if isinstance(value, list):
        return [_completed(schema.get("items"), item, defs) for item in value]
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    full = {name: part.get("default") for name, part in known.items() if name in value or "default" in part}
    return {name: _completed(known.get(name), item, defs) for name, item in {**full, **value}.items()}


def _resolved(schema: Any, defs: dict[str, Any]) -> Any:
    """What a reference into the schema's own definitions stands for."""
    reference = schema.get("$ref", "") if isinstance(schema, dict) else ""
    return defs.get(reference.removeprefix("#/$defs/"), schema) if reference.startswith("#/$defs/") else schema


def _missing(error: jsonschema.ValidationError) -> str:
    """The name of a required argument that is not there."""
    if error.validator != "required" or not isinstance(error.instance, dict):
        return ""
    schema_value: list[str] = list(error.validator_value)  # type: ignore[arg-type]
    return next((name for name in schema_value if name not in error.instance), "")
