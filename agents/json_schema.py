"""Validation with JSON schemas of any draft or dialect, which are converted to draft 2020-12.

Tools of MCP servers bring schemas as their authors wrote them: bounds of draft 4, type names of Python or OpenAPI,
patterns of ECMAScript. Models and other servers accept those, so this module does too.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jsonschema
import regex
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

NO_REMOTE: Registry[Any] = Registry()  # a schema of an MCP server must not cause a network request
PATTERN_SECONDS = 1.0  # for one pattern and one text: a server's pattern may take exponential time
KEPT = 500  # cached validators, and as many patterns

TYPES = {
    **dict.fromkeys(("int", "long", "int32", "int64"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("str", "text"), "string"),
    **dict.fromkeys(("list", "tuple", "set"), "array"),
    **dict.fromkeys(("dict", "map"), "object"),
    **dict.fromkeys(("none", "nonetype", "nil"), "null"),
    "bool": "boolean",
}
FORMATS = {"date": "date", "datetime": "date-time", "date-time": "date-time", "time": "time", "uuid": "uuid"}
KNOWN_TYPES = frozenset(("integer", "number", "string", "array", "object", "null", "boolean"))

MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")  # maps of names to schemas
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
ONES = (
    *("items", "additionalItems", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
VALUES = ("const", "default", "examples")  # null is a value for these; for others it means absent


class Unreadable(ValueError):
    """A schema cannot be used; the text says why."""


def modern(schema: Any) -> Any:
    """Return the schema in the form of draft 2020-12. Parts that fit no draft are left as they are."""
    if not isinstance(schema, dict):
        return schema
    found = {key: value for key, value in schema.items() if key != "$schema" and (value is not None or key in VALUES)}
    _require_named(found)
    for key in MAPS:
        if isinstance(found.get(key), dict):
            found[key] = {name: modern(part) for name, part in found[key].items()}
    for key in LISTS:
        if isinstance(found.get(key), list):
            found[key] = [modern(part) for part in found[key]]
    for key in ONES:
        if isinstance(found.get(key), dict):
            found[key] = modern(found[key])
    for change in (_types, _nullable, _bounds, _places, _dependencies):
        change(found)
    return found


def validator(schema: Any, format_checker: jsonschema.FormatChecker | None = None) -> Validator:
    """Return a validator of the schema. Raises Unreadable."""
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unreadable(f"it is not valid JSON: {error}") from error
    found = _validator(text)
    return found.evolve(format_checker=format_checker) if format_checker is not None else found


def validate(value: Any, schema: Any) -> None:
    """Require that the value fits. Raises jsonschema.ValidationError, and Unreadable if the schema can't be applied."""
    try:
        error = jsonschema.exceptions.best_match(validator(schema).iter_errors(value))
    except (RecursionError, re.error) as problem:
        raise Unreadable(f"it can't be applied ({type(problem).__name__})") from problem
    if error is not None:
        raise error


@lru_cache(maxsize=KEPT)
def _validator(text: str) -> Validator:
    try:
        schema = modern(json.loads(text))
        _Tolerant.check_schema(schema, format_checker=jsonschema.FormatChecker(formats=()))
        _require_patterns(schema)
        _require_references(schema)
    except jsonschema.SchemaError as error:
        raise Unreadable(f"{error.json_path}: {error.message}") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    return _Tolerant(schema, registry=NO_REMOTE)


def _types(schema: dict[str, Any]) -> None:
    kinds = schema.get("type")
    if isinstance(kinds, str) and kinds.lower() in FORMATS and kinds not in KNOWN_TYPES:
        schema.setdefault("format", FORMATS[kinds.lower()])
        kinds = "string"
    if isinstance(kinds, str):
        kinds = _type(kinds)
    elif isinstance(kinds, list):
        for kind in [kind for kind in kinds if isinstance(kind, str) and kind.lower() in FORMATS]:
            schema.setdefault("format", FORMATS[kind.lower()])  # says something of texts only
            kinds = ["string" if one is kind else one for one in kinds]
        named = [_type(kind) if isinstance(kind, str) else kind for kind in kinds]
        kinds = "any" if "any" in named else [kind for place, kind in enumerate(named) if kind not in named[:place]]
    if kinds == "any":
        del schema["type"]
    elif "type" in schema:
        schema["type"] = kinds


def _type(name: str) -> str:
    lower = name.lower()
    return lower if lower in KNOWN_TYPES or lower == "any" else TYPES.get(lower, name)


def _nullable(schema: dict[str, Any]) -> None:
    """Replace `nullable` of OpenAPI 3.0."""
    if schema.get("nullable") is not True:
        return
    kinds = schema.get("type")
    if kinds is not None:
        kinds = kinds if isinstance(kinds, list) else [kinds]
        schema["type"] = kinds if "null" in kinds else [*kinds, "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    elif "$ref" in schema:
        either = [{"$ref": schema.pop("$ref")}, {"type": "null"}]
        if "anyOf" not in schema:
            schema["anyOf"] = either
        elif isinstance(schema.setdefault("allOf", []), list):
            schema["allOf"] = [*schema["allOf"], {"anyOf": either}]
    del schema["nullable"]


def _bounds(schema: dict[str, Any]) -> None:
    """Convert the bounds of draft 4, which a separate flag makes exclusive, and `divisibleBy` of draft 3."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(flag := schema.get(exclusive), bool):
            del schema[exclusive]
            if flag and bound in schema and not isinstance(schema[bound], bool):  # a flag is no bound
                schema[exclusive] = schema.pop(bound)
    if "divisibleBy" in schema:
        schema.setdefault("multipleOf", schema.pop("divisibleBy"))


def _require_named(schema: dict[str, Any]) -> None:
    """Replace the `required` flags of draft 3 properties with a list of the required names."""
    if isinstance(schema.get("required"), bool):
        del schema["required"]
    known = schema.get("properties")
    parts = known.items() if isinstance(known, dict) else ()
    named = [name for name, part in parts if isinstance(part, dict) and part.get("required") is True]
    if named and isinstance(schema.setdefault("required", []), list):
        schema["required"] = [*schema["required"], *(name for name in named if name not in schema["required"])]


def _places(schema: dict[str, Any]) -> None:
    """Rename `items` if it is a list of schemas: before 2020-12, that describes the first items, one schema each."""
    if not isinstance(schema.get("items"), list):
        schema.pop("additionalItems", None)  # says nothing beside a single schema, and is checked by no draft of today
    elif _is_schema(schema.get("additionalItems", True)):  # otherwise the list stays, and is refused
        schema["prefixItems"] = [modern(part) for part in schema.pop("items")]
        if "additionalItems" in schema:
            schema["items"] = schema.pop("additionalItems")


def _dependencies(schema: dict[str, Any]) -> None:
    """Split `dependencies`, which had two meanings before 2019-09."""
    given = schema.get("dependencies")
    if not isinstance(given, dict):
        return
    del schema["dependencies"]
    names = {key: [part] if isinstance(part, str) else part for key, part in given.items() if not _is_schema(part)}
    parts = {key: modern(part) for key, part in given.items() if _is_schema(part)}
    if names:
        schema.setdefault("dependentRequired", names)
    if parts:
        schema.setdefault("dependentSchemas", parts)


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict | bool)


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the schema and all schemas inside it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key in MAPS:
        for part in schema.get(key, {}).values():
            yield from _schemas(part)
    for key in LISTS:
        for part in schema.get(key, ()):
            yield from _schemas(part)
    for key in ONES:
        yield from _schemas(schema.get(key))


def _require_patterns(schema: Any) -> None:
    for part in _schemas(schema):
        for pattern in (*([part["pattern"]] if "pattern" in part else ()), *part.get("patternProperties", {})):
            try:
                _compiled(pattern)
            except regex.error as error:
                raise Unreadable(f"the pattern {pattern!r} can't be read: {error}") from error


def _require_references(schema: Any) -> None:
    resolver = NO_REMOTE.resolver_with_root(DRAFT202012.create_resource(schema if isinstance(schema, dict) else {}))
    for part in _schemas(schema):
        seen = set()
        while isinstance(part, dict) and isinstance(reference := part.get("$ref"), str):
            if reference in seen:
                raise Unreadable(f"its reference {reference!r} leads back to itself")
            seen.add(reference)
            try:
                part = resolver.lookup(reference).contents
            except (Unresolvable, ValueError) as error:
                raise Unreadable(f"its reference {reference!r} doesn't exist in it") from error


@lru_cache(maxsize=KEPT)
def _compiled(pattern: str) -> Any:
    """Compile a pattern of ECMAScript or Pydantic, with Unicode properties, which Python's `re` does not support."""
    text = re.sub(r"\\[ux]\{([0-9A-Fa-f]{1,6})\}", lambda found: f"\\U{int(found[1], 16):08x}", pattern)
    return regex.compile(text.replace("[^]", r"[\s\S]"))


def _matches(pattern: str, text: str) -> bool:
    try:
        return _compiled(pattern).search(text, timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        return False


def _pattern(_: Any, pattern: str, value: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, str) and not _matches(pattern, value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    checker: Any, patterns: dict[str, Any], value: Any, schema: Any
) -> Iterator[jsonschema.ValidationError]:
    for pattern, part in patterns.items() if isinstance(value, dict) else ():
        for name in value:
            if _matches(pattern, name):
                yield from checker.descend(value[name], part, path=name, schema_path=pattern)


def _additional_properties(
    checker: Any, rest: Any, value: Any, schema: dict[str, Any]
) -> Iterator[jsonschema.ValidationError]:
    for name in value if isinstance(value, dict) else ():
        if name in schema.get("properties", {}) or any(_matches(p, name) for p in schema.get("patternProperties", {})):
            continue
        if rest is False:
            yield jsonschema.ValidationError(f"Additional properties are not allowed ({name!r} was unexpected)")
        elif isinstance(rest, dict):
            yield from checker.descend(value[name], rest, path=name)


_Tolerant = extend(
    jsonschema.Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    },
)
